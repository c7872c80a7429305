"""What only SQLite does: a file that is nobody else's business, one writer at a time, and a backup that holds it."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert
from sqlalchemy.exc import IntegrityError

from aiops.state.store import changes, keys, open, schema, usage
from aiops.state.store.open import reading
from aiops.state.store.open import writing as transaction
from aiops.state.store.rows import Key
from aiops.state.store.tables import key_hashes


def test_the_file_and_its_journal_are_the_owners_alone(empty: Engine, where: Path) -> None:
    schema.migrate(empty)
    with transaction(empty) as connection:
        keys.add(connection, Key(id="k", name="n"), "h")
        files = sorted(where.parent.glob("aiops.db*"))
        assert [path.name for path in files] == ["aiops.db", "aiops.db-shm", "aiops.db-wal"]
        assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_what_an_error_says_has_no_hash_in_it(engine: Engine) -> None:
    with pytest.raises(IntegrityError) as caught, transaction(engine) as connection:
        for _ in range(2):
            connection.execute(insert(key_hashes).values(hash="of-a-key", key_id="k", created_at=0))
    assert "UNIQUE" in str(caught.value)
    assert "of-a-key" not in str(caught.value)
    assert open.engine("postgresql://nobody@127.0.0.1:1/none").hide_parameters


def test_who_reads_waits_for_no_writer_and_sees_one_state(engine: Engine) -> None:
    with reading(engine) as before:
        assert keys.by_hash(before, "h") is None
        with transaction(engine) as connection:
            keys.add(connection, Key(id="k", name="n"), "h")
            with reading(engine) as during:
                assert keys.by_hash(during, "h") is None
        assert keys.by_hash(before, "h") is None
    with reading(engine) as after:
        assert keys.by_hash(after, "h") is not None


def test_who_reads_first_and_writes_then_is_not_refused(engine: Engine) -> None:
    """A transaction that becomes a writer later would fail at once when another one wrote in between."""

    def count_up() -> None:
        for _ in range(20):
            with transaction(engine) as connection:
                seen = changes.newest(connection)
                assert changes.note(connection, "all", "") == seen + 1

    threads = [threading.Thread(target=count_up) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with reading(engine) as connection:
        assert changes.newest(connection) == 60


def _open_first(path: Path) -> None:
    schema.migrate(open.engine(path))


def test_several_processes_open_a_new_database_at_once(where: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_open_first, args=(where,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert schema.schema_state(open.engine(where)) == schema.Ok()


def test_a_backup_that_holds_the_database_is_waited_for_and_then_told(
    migrated: Path, where: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where.write_bytes(migrated.read_bytes())
    monkeypatch.setattr(open, "BUSY_SECONDS", 0.1)
    engine = open.engine(where)
    backup = sqlite3.connect(where, isolation_level=None)
    backup.execute("BEGIN EXCLUSIVE")
    with pytest.raises(open.Unavailable, match="database is locked") as refused, transaction(engine):
        pass
    assert "backup" in refused.value.hint
    backup.execute("ROLLBACK")
    with transaction(engine) as connection:
        changes.note(connection, "all", "")


def test_another_process_sees_that_something_was_written(engine: Engine, where: Path) -> None:
    """How a change of the command line is noticed."""
    watching = sqlite3.connect(where)
    before = watching.execute("PRAGMA data_version").fetchone()
    assert watching.execute("PRAGMA data_version").fetchone() == before
    with transaction(engine) as connection:
        changes.note(connection, "all", "")
    assert watching.execute("PRAGMA data_version").fetchone() != before


def test_there_are_no_partitions_and_no_runway(engine: Engine) -> None:
    with transaction(engine) as connection:
        assert usage.make_partitions(connection) == 0
        assert usage.runway(connection) is None


def test_old_rows_are_dropped_a_batch_at_a_time(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from aiops.state.store import partitions
    from tests.unit.state.store.test_store_ledger import used

    monkeypatch.setattr(partitions, "BATCH", 3)
    with transaction(engine) as connection:
        usage.ingest(connection, [used(str(number), number + 1) for number in range(7)])
    rounds = 0
    more = True
    while more:
        with transaction(engine) as connection:
            more = usage.drop_before(connection, 6_000_001)
        rounds += 1
    with reading(engine) as connection:
        assert [each.id for each in usage.page(connection, usage.Which())] == ["6"]
    assert rounds == 3
