"""SQLite's file goes away under the accountant: it ends and says so, and the next one makes no other one."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from aiops import cli
from aiops.gateway.accountant.checking import EVERY_SECONDS
from aiops.gateway.accountant.database import Database, Gone, Unusable
from aiops.gateway.shared import accounting
from aiops.gateway.shared.accounting import Changed
from aiops.gateway.worker.accountant import Accountant, Away
from aiops.host.instance import locate
from aiops.host.setup import make_instance
from aiops.state.store import keys, marker, open
from aiops.state.store.rows import Key
from tests.kit.waiting import until

HASH = hashlib.sha256(b"sk-of-before").hexdigest()


def remove(path: Path) -> None:
    for each in path.parent.glob(f"{path.name}*"):
        each.unlink()


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.touch()
    other.rename(path)


@pytest.mark.parametrize("away", [remove, replace])
def test_nothing_is_read_from_or_written_to_a_file_that_is_nobody_elses_any_more(
    tmp_path: Path, away: Callable[[Path], None]
) -> None:
    async def act() -> None:
        database = Database(tmp_path / "aiops.db", lambda store: None)
        await database.check()
        await database.write(lambda connection: connection.execute(text("SELECT 1")).scalar())
        assert not database.is_gone
        away(tmp_path / "aiops.db")
        for use in (database.read, database.write):
            with pytest.raises(Unusable, match=r"aiops\.db was removed or replaced"):
                await use(lambda connection: connection.execute(text("SELECT 1")).scalar())
        with pytest.raises(Gone):
            await asyncio.wait_for(database.until_gone(), 5)
        database.close()

    asyncio.run(act())
    assert (tmp_path / "aiops.db").exists() == (away is replace), "it made another one"


class Process:
    """An accountant as a master starts it."""

    def __init__(self, home: Path) -> None:
        places = [f"--{name}={home / name}" for name in ("state", "run", "secrets")]
        argv = [sys.executable, "-P", "-m", accounting.MODULE, *places]
        self._process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)

    def ended(self) -> tuple[int, str]:
        _, said = self._process.communicate(timeout=60)
        return self._process.returncode, said

    def end(self) -> None:
        self._process.terminate()
        self.ended()


def test_when_the_database_is_removed_the_accountant_ends_and_the_next_one_waits_for_it(tmp_path: Path) -> None:
    for name in ("state", "run", "secrets"):
        (tmp_path / name).mkdir(mode=0o700)
    path = tmp_path / "state" / "aiops.db"
    told: list[Changed] = []

    async def act() -> None:
        first = Process(tmp_path)
        worker = Accountant(tmp_path / "run", 1, "http://127.0.0.1:1", told.append)
        connection = asyncio.create_task(worker.stay_connected())
        try:
            assert await _identity(worker) is None
            _make_a_key(path)
            assert await _identity(worker) == "of-before"
            forgotten = len(told)
            backup = _copy(path)
            remove(path)
            code, said = await asyncio.to_thread(first.ended)
            assert code == 1
            assert f"the database {path} was removed or replaced" in said
            second = Process(tmp_path)
            try:
                async with asyncio.timeout(60):
                    while worker.said[0].state != "lost":
                        await asyncio.sleep(0.02)
                with pytest.raises(Away, match=r"aiops\.db is not there, or is empty, and there was one"):
                    await worker.identity(HASH)
                assert f"`rm {marker.marker(path)}`" in worker.said[0].why
                assert not path.exists()
                path.touch(0o600)  # as a copy begins
                await asyncio.sleep(EVERY_SECONDS + 0.5)  # a probe
                with pytest.raises(Away):
                    await worker.identity(HASH)
                assert worker.said[0].state == "lost"
                # A database that is away: whom workers know they know.
                assert all(each.hashes == () for each in told[forgotten:])
                # The number of the last change is the same in both: nothing is kept for that.
                backup.rename(path)
                assert await _identity(worker) == "of-before"
                async with asyncio.timeout(10):
                    while told[-1].hashes is not None:
                        await asyncio.sleep(0.02)
                remove(path)
            finally:
                await asyncio.to_thread(second.end)
            marker.forget(path)
            third = Process(tmp_path)
            try:
                forgotten = len(told)
                assert await _identity(worker) is None
                assert told[forgotten].hashes is None
            finally:
                await asyncio.to_thread(third.end)
        finally:
            connection.cancel()
            await asyncio.gather(connection, return_exceptions=True)

    asyncio.run(act())


def test_workers_of_a_database_that_was_replaced_forget_at_once_whom_they_know(tmp_path: Path) -> None:
    for name in ("state", "run", "secrets"):
        (tmp_path / name).mkdir(mode=0o700)
    told: list[Changed] = []

    async def act() -> None:
        first = Process(tmp_path)
        worker = Accountant(tmp_path / "run", 1, "http://127.0.0.1:1", told.append)
        connection = asyncio.create_task(worker.stay_connected())
        try:
            assert await _identity(worker) is None
            told.clear()
            replace(tmp_path / "state" / "aiops.db")
            assert (await asyncio.to_thread(first.ended))[0] == 1
            assert any(each.hashes is None for each in told), "workers still know the keys of before"
        finally:
            connection.cancel()
            await asyncio.gather(connection, return_exceptions=True)

    asyncio.run(act())


def test_the_command_line_makes_no_other_database_where_one_is_missed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_instance(locate(tmp_path), profile=None, supervisor="process", port=4711)
    path = tmp_path / "state" / "aiops.db"
    assert cli.run(["--home", str(tmp_path), "keys", "list"]) == 0
    for how in (remove, replace):
        if how is replace:
            path.touch()
        how(path)
        for words in (["keys", "list"], ["database", "check"], ["database", "migrate"]):
            assert cli.run(["--home", str(tmp_path), *words]) == 4
            said = capsys.readouterr().err
            assert f"the database {path} is not there, or is empty, and there was one" in said
            assert f"`rm {marker.marker(path)}`" in said
        assert path.exists() == (how is replace)
    marker.forget(path)
    assert cli.run(["--home", str(tmp_path), "keys", "list"]) == 0


def _make_a_key(path: Path) -> None:
    made = open.engine(path)
    key = Key(id="of-before", name="sk-...fore")
    open.transact(made, lambda connection: keys.add(connection, key, HASH))
    made.dispose()


def _copy(path: Path) -> Path:
    copy = path.with_name("backup")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


async def _identity(worker: Accountant) -> str | None:
    async with asyncio.timeout(60):
        while True:
            try:
                found, _ = await worker.identity(HASH)
            except Away:
                continue  # it starts
            return found.id if found is not None else None


def test_the_command_line_makes_no_database_beside_a_gateway_that_has_lost_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_instance(locate(tmp_path), profile=None, supervisor="process", port=4711)
    # Somebody who is what `holder` takes for this gateway's accountant, and has no database.
    state = tmp_path / "state"
    argv = [sys.executable, "-c", "import sys; sys.stdin.read()", accounting.MODULE, str(state)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as holder:
        (state / accounting.LOCK).write_text(f"{holder.pid}\n")
        until(lambda: accounting.holder(state) == holder.pid, 10)  # exec(2) closes our pipe before it says its argv
        assert cli.run(["--home", str(tmp_path), "keys", "list"]) == 4
        said = capsys.readouterr().err
        assert f"the gateway runs, and its database {state / 'aiops.db'} is not there" in said
        assert "down`, copy it there" in said
        assert not (state / "aiops.db").exists()
        holder.communicate()
    assert cli.run(["--home", str(tmp_path), "keys", "list"]) == 0  # nobody has one: it is made
    assert os.stat(state / "aiops.db").st_mode & 0o077 == 0  # noqa: PTH116
