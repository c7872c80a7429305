"""What was changed in the database, by whoever, is told to the workers."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection

from aiops.gateway.accountant.database import Database, Unusable
from aiops.gateway.accountant.notifications import Notifications
from aiops.gateway.shared.accounting import Changed
from aiops.state.store import changes

SQLITE_TICK = 0.1
POSTGRES_TICK = 1.0  # without a notification, which may have been lost with its connection
MOST = 1000  # changes that are told of one by one; more of them: everything

Told = Callable[[Changed], None]


class Changes:
    """``told`` is called for what was changed; ``seq`` is the number of the last change, None while nobody knows."""

    def __init__(self, database: Database, where: Path | str, told: Told) -> None:
        self._database = database
        self._told = told
        self._news: _File | Notifications = _File(where) if isinstance(where, Path) else Notifications(where)
        self.seq: int | None = None

    async def follow(self) -> None:
        """Until cancelled."""
        try:
            while True:
                try:
                    await self.look()
                except Unusable:
                    await asyncio.sleep(POSTGRES_TICK)
                else:
                    await self._news.wait()
        finally:
            self._news.close()

    async def look(self) -> None:
        """Tell what was changed since. Raises Unusable."""
        if self.seq is None:  # nobody knows what those who are connected know
            self.seq = await self._database.read(changes.newest)
            self._told(Changed(self.seq))
            return
        since = self.seq

        def read(connection: Connection) -> Changed | None:
            found = changes.since(connection, since, MOST)
            if not found:
                # A database that was put back to an earlier state: what is known is of another one.
                newest = changes.newest(connection)
                return Changed(newest) if newest < since else None
            if len(found) == MOST:
                return Changed(changes.newest(connection))
            hashes = changes.hashes(connection, found)
            return Changed(found[-1].seq, None if hashes is None else tuple(hashes))

        changed = await self._database.read(read)
        if changed is not None:
            self.seq = changed.seq
            self._told(changed)


class _File:
    """SQLite says whether anybody else has written: it looks at its memory, and at no row."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._version: int | None = None

    async def wait(self) -> None:
        """Until somebody has written."""
        while True:
            await asyncio.sleep(SQLITE_TICK)
            version = self._ask()
            if version is None or version != self._version:
                self._version = version
                return

    def _ask(self) -> int | None:
        with suppress(sqlite3.Error):
            if self._connection is None:
                self._connection = sqlite3.connect(
                    f"{self._path.absolute().as_uri()}?mode=rw", uri=True, timeout=0.0, isolation_level=None
                )
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])
        self.close()
        return None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
