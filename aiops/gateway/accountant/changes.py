"""What was changed in the database, by whoever, is told to the workers, and noted when all of them have applied it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiops.gateway.accountant.database import Database, Unusable
from aiops.gateway.shared.accounting import Changed
from aiops.state.store import changes

SQLITE_TICK = 0.1
POSTGRES_TICK = 1.0  # without a notification, which may have been lost with its connection
MOST = 1000  # changes that are told of one by one; more of them: everything

Told = Callable[[Changed], None]


class Changes:
    """``told`` is called for what was changed; ``seq`` is the number of the last change, None while nobody knows."""

    def __init__(self, database: Database, told: Told) -> None:
        self._database = database
        self._told = told
        self.seq: int | None = None
        self._version: int | None = None  # of SQLite's file
        self._look = asyncio.Event()

    async def follow(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.look()
                await self._wait()
            except Unusable:
                await asyncio.sleep(POSTGRES_TICK)

    async def look(self) -> None:
        """Tell what was changed since. Raises Unusable."""
        since = self.seq
        if since is None:  # it is not known what those who are connected know
            self.seq = await self._database.read(changes.last)
            self._told(Changed(self.seq))
            return
        found = await self._database.read(lambda connection: _since(connection, since))
        if found is not None:
            self.seq = found.seq
            self._told(found)
