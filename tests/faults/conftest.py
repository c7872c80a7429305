"""One gateway for each module: a start costs five seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.harness import Gateway, gateway


@pytest.fixture(scope="module")
def running() -> Iterator[Gateway]:
    with gateway() as made:
        yield made


@pytest.fixture
def here(running: Gateway) -> Gateway:
    """The module's gateway, with a master."""
    running.recover()
    return running
