"""The database as the accountant uses it: a thread that reads, one that writes and one that probes, and how it is.

A look-up never waits for a writer, and a writer that waits for a backup holds up no look-up. How it is the probe says,
and nobody else: one that hangs keeps its thread, and is known by its silence.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from aiops.errors import AiopsError
from aiops.gateway.accountant.say import say
from aiops.gateway.shared.journald import WARNING
from aiops.gateway.shared.steady import LOST, WELL, Condition, Steady
from aiops.state.store import marker, schema
from aiops.state.store import open as opening

T = TypeVar("T")
Work = Callable[[Connection], T]

PROBE_SECONDS = 2.0  # for a probe to be answered
FIRST_SECONDS = 30.0  # for SQLite's tables to be made
READ_SECONDS = 6.0  # longer than a statement may take: a server that hangs does not end it
FILE_SECONDS = 0.5  # between looks whether SQLite's file is the one that is open


class Unusable(Exception):
    """The database cannot be used now; the text is for whoever runs the gateway, with what to type."""


class Gone(Unusable):
    """SQLite's file was removed, or another one is in its place: what is open is nobody else's any more."""


@dataclass(frozen=True)
class Found:
    """By a probe. ``seconds``: until the answer."""

    state: str
    why: str
    seconds: float
    described: str = ""


class _Thread(ThreadPoolExecutor):
    """``works``: on something that has not ended."""

    def __init__(self, name: str) -> None:
        super().__init__(1, name)
        self.works = False

    def submit(self, how: Any, /, *arguments: Any, **named: Any) -> Any:
        return super().submit(self._work, how, *arguments, **named)

    def _work(self, how: Callable[..., T], *arguments: Any, **named: Any) -> T:
        self.works = True
        try:
            return how(*arguments, **named)
        finally:
            self.works = False


class Database:
    """``where``: SQLite's path, or a Postgres URL. ``told`` is called with each change of how it is."""

    def __init__(self, where: Path | str, told: Callable[[Condition], None]) -> None:
        self.engine = opening.engine(where)
        self._where = where
        self._path = where if isinstance(where, Path) else None
        self._file: tuple[int, int] | None = None  # device and inode, of what is open
        self._reader = _Thread("reads")
        self._writer = _Thread("writes")
        self._prober = _Thread("probes")
        self._probing: asyncio.Future[Found] | None = None
        self._steady = Steady(why="the database was not asked yet")
        self._said = self._steady.is_now
        self._described = False
        self._told = told
        self.probed = 0.0
        """Seconds that the last probe took which was answered."""
        if self._path is not None:
            event.listen(self.engine, "connect", _durable)

    @property
    def kind(self) -> str:
        return "sqlite" if self._path is not None else "postgres"

    @property
    def condition(self) -> Condition:
        """WELL, ``lost``, ``unknown``, or of a schema that is not ours: ``behind``, ``ahead``."""
        return self._steady.is_now

    async def read(self, work: Work[T], seconds: float = READ_SECONDS) -> T:
        """In a transaction that sees one state of it. Raises Unusable, after ``seconds`` at most."""
        try:
            async with asyncio.timeout(seconds):
                return await self._do(self._reader, lambda: self._reading(work))
        except TimeoutError:
            raise Unusable(f"the database does not answer within {seconds:g} s") from None

    async def write(self, work: Work[T]) -> T:
        """In a transaction, committed when ``work`` returns; tried again where another one was in the way, so ``work``
        may be called more than once. Raises Unusable: then nothing of it has happened, but for a connection that was
        lost while it was committed."""
        return await self._do(self._writer, lambda: opening.transact(self.engine, work))

    async def use(self, work: Callable[[Engine], T]) -> T:
        """In transactions of its own, where what writes does. Raises Unusable."""
        return await self._do(self._writer, lambda: work(self.engine))

    @property
    def usable(self) -> bool:
        """Its schema is one that this aiops can use, as far as is known."""
        return self.condition.state in (WELL, LOST)

    async def until_gone(self) -> None:
        """Until cancelled. Raises Gone: then only another process can go on, with what is there."""
        while True:
            self._require_file()
            await asyncio.sleep(FILE_SECONDS)

    async def check(self) -> None:
        """Ask whether it is there, and its schema ours. An empty one of SQLite gets our tables, where there was none
        before."""
        first = self._path is not None and self.condition.state == "unknown"
        patience = FIRST_SECONDS if first else PROBE_SECONDS
        if self._probing is None:  # one that hangs still does, and is the answer when it comes
            self._probing = asyncio.get_running_loop().run_in_executor(self._prober, self._look)
        done, _ = await asyncio.wait({self._probing}, timeout=patience)
        if not done:
            self._is(self._steady.failed(time.time(), f"the database does not answer within {patience:g} s"))
            return
        probing, self._probing = self._probing, None
        try:
            found = probing.result()
        except AiopsError as error:
            self._failed(_text(error))
            return
        except DBAPIError as error:
            self._failed(f"the database cannot be used: {opening.reason(error)}")
            return
        self._file = self._file or self._found()
        self.probed = found.seconds
        if found.state != WELL:
            self._is(self._steady.says(found.state, time.time(), found.why))
            return
        if not self._described:
            self._described = True
            say(f"database: {found.described}, schema {schema.OURS}, answers in {found.seconds * 1000:.1f} ms")
        self._is(self._steady.well(time.time()))

    def close(self) -> None:
        """What is under way is not waited for: nothing is noted that was not done."""
        for thread in (self._reader, self._writer, self._prober):
            thread.shutdown(wait=False, cancel_futures=True)
        self.engine.dispose()

    async def _do(self, thread: _Thread, how: Callable[[], T]) -> T:
        # Behind what hangs nobody has to stand in a queue.
        if not self.usable or (self.condition.state == LOST and thread.works):
            raise Unusable(self.condition.why)
        self._require_file()  # what is written into a file that was removed is lost
        try:
            return await asyncio.get_running_loop().run_in_executor(thread, how)
        except AiopsError as error:
            raise Unusable(_text(error)) from error
        except (DataError, IntegrityError):
            raise  # of a value, not of the database
        except DBAPIError as error:  # a lock, a time-out, a full disk: later, all of it
            raise Unusable(f"the database cannot be used: {error.orig}") from error

    def _reading(self, work: Work[T]) -> T:
        with opening.reading(self.engine) as connection:
            return work(connection)

    @property
    def is_gone(self) -> bool:
        """SQLite's file was removed, or another one is in its place."""
        return self._file is not None and self._found() != self._file

    @property
    def is_replaced(self) -> bool:
        """Another one is in its place."""
        return self.is_gone and self._found() is not None

    def _require_file(self) -> None:
        """Raises Gone."""
        if self.is_gone:
            raise Gone(f"the database {self._path} was removed or replaced while it was in use")

    def _found(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat() if self._path is not None else None
        except FileNotFoundError:
            return None
        except OSError:  # nobody knows: a disk that does not answer
            return self._file
        return (found.st_dev, found.st_ino) if found is not None else None

    def _look(self) -> Found:
        self._require_file()
        began = time.monotonic()
        state = schema.schema_state(self.engine)
        seconds = time.monotonic() - began
        if self._path is not None and state == schema.Behind(0):
            marker.require_none(self._path)
            schema.migrate(self.engine)
        elif not isinstance(state, schema.Ok):
            try:
                schema.check(self.engine)
            except schema.WrongSchema as error:
                return Found("behind" if isinstance(state, schema.Behind) else "ahead", _text(error), seconds)
        if self._path is not None:
            marker.note(self._path)
        return Found(WELL, "", seconds, "" if self._described else described(self.engine, self._where))

    def _failed(self, why: str) -> None:
        if self._path is not None and self._file is None:  # the one that comes may be another than what is open
            self.engine.dispose()
        self._is(self._steady.failed(time.time(), why))

    def _is(self, changed: bool) -> None:
        before, self._said = self._said, self.condition
        if not changed:
            return
        if not self.condition.is_well:
            say(f"the database is {self.condition.state}: {self.condition.why}", WARNING)
        elif before.state != "unknown":
            say(f"the database can be used again, after {self.condition.since - before.since:.0f} s")
        self._told(self.condition)


def described(engine: Engine, where: Path | str) -> str:
    """Which one it is and where, without a password."""
    if isinstance(where, Path):
        return f"SQLite {sqlite3.sqlite_version} at {where}"
    with opening.reading(engine) as connection:
        version = str(connection.exec_driver_sql("SHOW server_version").scalar()).split()[0]
    return f"PostgreSQL {version} at {opening.place(where)}"


def _durable(raw: Any, _: Any) -> None:
    """What is in the ledger is taken out of the spool: a power cut may not take it from both."""
    raw.execute("PRAGMA synchronous = FULL").close()


def _text(error: AiopsError) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message
