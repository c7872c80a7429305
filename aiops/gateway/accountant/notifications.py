"""Postgres says by itself when something was changed: LISTEN, on a connection of its own."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from aiops.state.store.changes import CHANNEL

POLL_SECONDS = 1.0  # a notification may be lost with its connection


class Notifications:
    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Any = None

    async def wait(self) -> None:
        """Until something was changed, or ``POLL_SECONDS``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self._notified()

    async def _notified(self) -> None:
        import psycopg

        try:
            if self._connection is None:
                self._connection = await psycopg.AsyncConnection.connect(
                    self._url, autocommit=True, connect_timeout=2, application_name="aiops changes"
                )
                await self._connection.execute(f"LISTEN {CHANNEL}")
                return  # what was changed before
            async for _ in self._connection.notifies(timeout=POLL_SECONDS, stop_after=1):
                return
        except psycopg.Error:
            self.close()
            await asyncio.sleep(POLL_SECONDS)

    def close(self) -> None:
        """The connection goes with its socket: nothing is waited for."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.pgconn.finish()
