"""A database that was not moved after all takes changes again, and one that is put aside has all that it had."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from aiops.actions.scale import moving
from aiops.actions.scale.moving import Move, put_aside
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.state.store import changes, open, schema


def test_what_is_thawed_is_not_frozen_again_by_who_kept_it_frozen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "RENEW_SECONDS", 0.01)
    monkeypatch.setattr(moving.accountant, "ingest", lambda run: None)
    freeze, renews, go_on = Move._freeze, threading.Event(), threading.Event()

    def slow(self: Move, *given: Any) -> None:
        if threading.current_thread() is not threading.main_thread():
            renews.set()
            go_on.wait(10)
        freeze(self, *given)

    monkeypatch.setattr(Move, "_freeze", slow)
    instance = Instance(None, *(tmp_path / name for name in ("config", "state", "run", "logs", "secrets")))
    instance.state.mkdir()
    source = open.engine(tmp_path / "one.db")
    schema.migrate(source)
    move = Move(instance, tmp_path / "one.db", tmp_path / "other.db", "a test goes on", Output())
    move.begin()
    assert renews.wait(10)
    threading.Timer(0.3, go_on.set).start()
    move.undo()
    threads = [each for each in threading.enumerate() if each is not threading.main_thread()]
    for each in threads:
        each.join(1)
    with open.writing(source) as connection:
        assert changes.note(connection, "key", "a")
    source.dispose()


def test_what_is_put_aside_has_what_was_written_last(tmp_path: Path) -> None:
    """Somebody was killed: it is in the journal beside the file, and nowhere else."""
    with closing(sqlite3.connect(tmp_path / "used.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE written (what)")
        connection.execute("INSERT INTO written VALUES ('last')")
        for rest in ("", "-wal"):
            shutil.copy(tmp_path / f"used.db{rest}", tmp_path / f"left.db{rest}")
    aside = put_aside(tmp_path / "left.db", 7)
    assert sorted(path.name for path in tmp_path.glob("left*")) == [aside.name] == ["left.db.before-7"]
    with closing(sqlite3.connect(aside)) as connection:
        assert connection.execute("SELECT what FROM written").fetchall() == [("last",)]
