"""LiteLLM is imported while the master goes on: its turns come in between, and whatever is wrong with it is said."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest

from aiops.gateway.master import loading
from aiops.gateway.master.loading import Loading
from aiops.gateway.master.say import say

LONG = "import time\nuntil = time.monotonic() + {seconds}\nwhile time.monotonic() < until:\n    pass\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where modules are imported from, and forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(loading, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(loading.runtime, "forget", lambda: None)
    return tmp_path


def imports(this: Loading, name: str, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(Loading, "at_once", lambda self: __import__(name))
    try:
        return this.in_turns()
    finally:
        sys.modules.pop(name, None)


def test_the_masters_turns_come_while_it_is_imported_and_no_more_afterwards(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "a_long_one.py").write_text(LONG.format(seconds=0.3))
    turns: list[bool] = []
    this = Loading(lambda: turns.append(this.going_on))
    before = signal.getsignal(signal.SIGALRM)
    assert imports(this, "a_long_one", monkeypatch)
    many = len(turns)
    assert many > 1
    assert all(turns)
    assert not this.going_on
    time.sleep(0.05)
    assert len(turns) == many
    assert signal.getsignal(signal.SIGALRM) is before


def test_a_turn_that_fails_is_no_end_of_the_import(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "a_long_one.py").write_text(LONG.format(seconds=0.1))

    def turn() -> None:
        raise RuntimeError("a bug of ours")

    assert imports(Loading(turn), "a_long_one", monkeypatch)
    assert "a bug of ours" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["raise ImportError('broken')", "import sys; sys.exit('broken')", "(((", "1/0"])
def test_whatever_is_wrong_with_it_is_said_and_it_is_tried_again_later_and_later(
    place: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    (place / "a_bad_one.py").write_text(wrong)
    this = Loading(lambda: None)
    waits = []
    for _ in range(7):
        began = time.monotonic()
        assert not imports(this, "a_bad_one", monkeypatch)
        waits.append(round(this.again_at - began))
        assert this.failure.partition(":")[0] in ("ImportError", "SystemExit", "SyntaxError", "ZeroDivisionError")
    assert waits == [30, 60, 120, 240, 480, 600, 600]
    (place / "a_good_one.py").write_text("")
    assert imports(this, "a_good_one", monkeypatch)
    assert this.failure == ""


def test_a_light_worker_that_is_forked_meanwhile_has_nothing_that_is_imported_in_part(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "a_long_one.py").write_text(f"import a_part_of_it\n{LONG.format(seconds=0.1)}")
    (place / "a_part_of_it.py").write_text("")
    seen: list[bool] = []
    known = set(sys.modules)

    def turn() -> None:
        if seen or "a_part_of_it" not in sys.modules:
            return
        kept = {name: sys.modules[name] for name in sys.modules.keys() - known}
        this.forget_what_is_not_finished()
        seen.append(known <= set(sys.modules) and "a_part_of_it" not in sys.modules)
        sys.modules.update(kept)  # this process is no fork

    this = Loading(turn)
    try:
        assert imports(this, "a_long_one", monkeypatch)
    finally:
        sys.modules.pop("a_part_of_it", None)
    assert seen == [True]


def test_a_log_that_cannot_be_written_is_no_end_of_the_import(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk, or what is said in the middle of a line that waits for a slow reader (RuntimeError)."""
    (place / "a_long_one.py").write_text(LONG.format(seconds=0.1))

    class Reentrant:
        def write(self, text: str) -> None:
            raise RuntimeError("reentrant call")

        def flush(self) -> None: ...

        def fileno(self) -> int:
            raise OSError

    def turn() -> None:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(sys, "stderr", Reentrant())
    assert imports(Loading(turn), "a_long_one", monkeypatch)
    say("a line")
