"""The database as the accountant uses it: a thread that reads and one that writes, and how it is.

A look-up never waits for a writer, and a writer that waits for a backup holds up no look-up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from aiops.errors import AiopsError
from aiops.gateway.accountant.say import say
from aiops.gateway.shared.accounting import WELL, Store
from aiops.gateway.shared.journald import WARNING
from aiops.state.store import open as opening
from aiops.state.store import schema
from aiops.state.store.freeze import Frozen

T = TypeVar("T")
Work = Callable[[Connection], T]

LOST_SECONDS = 3.0  # of nothing but failures, until it counts as lost: one that restarts is not news
CHECK_SECONDS = 2.0  # between looks at a schema that is not ours, or at a database that is away
FILE_SECONDS = 0.5  # between looks whether SQLite's file is the one that is open


class Unusable(Exception):
    """The database cannot be used now; the text is for whoever runs the gateway, with what to type."""


class Gone(Unusable):
    """SQLite's file was removed, or another one is in its place: what is open is nobody else's any more."""


class Database:
    """``where``: SQLite's path, or a Postgres URL. ``told`` is called with each change of how it is."""

    def __init__(self, where: Path | str, told: Callable[[Store], None]) -> None:
        self.engine = opening.engine(where)
        self._path = where if isinstance(where, Path) else None
        self._file: tuple[int, int] | None = None  # device and inode, of what is open
        self._reader = ThreadPoolExecutor(1, "reads")
        self._writer = ThreadPoolExecutor(1, "writes")
        self._told = told
        self._failing_since: float | None = None
        self.store = Store("unknown", "the database was not asked yet")
        if self._path is not None:
            event.listen(self.engine, "connect", _durable)

    async def read(self, work: Work[T]) -> T:
        """In a transaction that sees one state of it. Raises Unusable."""
        return await self._do(self._reader, lambda: self._reading(work))

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
        return self.store.state in (WELL, "lost")

    async def keep_checking(self) -> None:
        """Until cancelled: whether it is there, and its schema ours."""
        while True:
            await self.check()
            await asyncio.sleep(CHECK_SECONDS)

    async def until_gone(self) -> None:
        """Until cancelled. Raises Gone: then only another process can go on, with what is there."""
        while True:
            self._require_file()
            await asyncio.sleep(FILE_SECONDS)

    async def check(self) -> None:
        """Say how it is. One of SQLite that is empty gets our tables."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._writer, self._schema)
        except AiopsError as error:
            self._failed(_text(error))
            return
        self._failing_since = None
        self._file = self._file or self._found()
        self._is(found)

    def close(self) -> None:
        """What is under way is not waited for: nothing is noted that was not done."""
        for thread in (self._reader, self._writer):
            thread.shutdown(wait=False, cancel_futures=True)
        self.engine.dispose()

    async def _do(self, thread: ThreadPoolExecutor, how: Callable[[], T]) -> T:
        if not self.usable:
            raise Unusable(self.store.said)
        self._require_file()  # what is written into a file that was removed is lost
        try:
            done = await asyncio.get_running_loop().run_in_executor(thread, how)
        except Frozen as error:  # it is there, and answers who reads
            raise Unusable(_text(error)) from error
        except AiopsError as error:
            self._failed(_text(error))
            raise Unusable(_text(error)) from error
        except (DataError, IntegrityError):
            raise  # of a value, not of the database
        except DBAPIError as error:  # a lock, a time-out, a full disk: later, all of it
            said = f"the database cannot be used: {error.orig}"
            self._failed(said)
            raise Unusable(said) from error
        self._failing_since = None
        if self.store.state == "lost":
            self._is(Store(WELL))
        return done

    def _reading(self, work: Work[T]) -> T:
        with opening.reading(self.engine) as connection:
            return work(connection)

    @property
    def is_gone(self) -> bool:
        """SQLite's file was removed, or another one is in its place."""
        return self._file is not None and self._found() != self._file

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

    def _schema(self) -> Store:
        self._require_file()
        state = schema.schema_state(self.engine)
        if self._path is not None and state == schema.Behind(0):
            schema.migrate(self.engine)
            return Store(WELL)
        try:
            schema.check(self.engine)
        except schema.WrongSchema as error:
            return Store("behind" if isinstance(state, schema.Behind) else "ahead", _text(error))
        return Store(WELL)

    def _failed(self, why: str) -> None:
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        if self.store.state != WELL or now - self._failing_since >= LOST_SECONDS:
            self._is(Store("lost", why))

    def _is(self, store: Store) -> None:
        before, self.store = self.store, store
        if store.state == before.state:
            return
        if store.state != WELL:
            say(f"the database is {store.state}: {store.said}", WARNING)
        elif before.state != "unknown":
            say("the database can be used again")
        self._told(store)


def _durable(raw: Any, _: Any) -> None:
    """What is in the ledger is taken out of the spool: a power cut may not take it from both."""
    raw.execute("PRAGMA synchronous = FULL").close()


def _text(error: AiopsError) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message
