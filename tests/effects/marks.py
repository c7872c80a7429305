"""A plugin for pytest that tells the keys whose effect the collected tests show: ``@pytest.mark.shows(key, …)``."""

from __future__ import annotations

import pytest

LINE = "shows: "


def pytest_collection_finish(session: pytest.Session) -> None:
    keys = {key for item in session.items for mark in item.iter_markers("shows") for key in mark.args}
    for key in sorted(keys):
        print(f"{LINE}{key}")
