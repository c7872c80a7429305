"""Which start of the machine it is, also where a hardened unit hides the id."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.state import boot


def test_what_was_noted_now_is_of_this_boot_and_nothing_else_is() -> None:
    assert boot.is_now(boot.boot())
    assert not boot.is_now("00000000-0000-0000-0000-000000000000")
    assert not boot.is_now("")


def test_where_the_id_is_hidden_the_second_of_the_start_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot, "_ID", Path("/proc/nothing/here"))
    noted = boot.boot()
    assert noted.startswith("~")
    assert boot.is_now(noted)
    assert boot.is_now(f"~{int(noted[1:]) + 60}")  # the clock was set
    assert not boot.is_now(f"~{int(noted[1:]) - 3600}")
    assert not boot.is_now("~")
