"""This gateway's row among the replicas: that it lives, and which change all its workers have applied."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from functools import partial

from sqlalchemy import Connection

from aiops.gateway.accountant.changes import Changes
from aiops.gateway.accountant.database import Database, Unusable
from aiops.gateway.accountant.server import Server
from aiops.gateway.shared.deployment import Deployment
from aiops.state.store import replicas
from aiops.state.store.replicas import Replica

SEEN_SECONDS = 5.0  # between two signs of life
TOGETHER_SECONDS = 0.02  # workers apply a change one after the other


class Presence:
    """``id``: of this replica. ``deployment``: None when there is no other one."""

    def __init__(self, database: Database, id: str, deployment: Deployment | None = None) -> None:
        self._database = database
        self._deployment = deployment
        self._id = id
        self._news = asyncio.Event()

    def is_news(self) -> None:
        """A worker came, left, or has applied a change."""
        self._news.set()

    async def keep_true(self, server: Server, changes: Changes) -> None:
        """Until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(SEEN_SECONDS):
                    await self._news.wait()
            await asyncio.sleep(TOGETHER_SECONDS)
            self._news.clear()
            if changes.seq is not None:
                with suppress(Unusable):
                    await self._database.write(partial(_seen, self._row(server, changes.seq)))

    async def leave(self) -> None:
        """Nobody needs to wait for it."""
        with suppress(Unusable):
            await self._database.write(partial(_left, self._id))

    def _row(self, server: Server, seq: int) -> Replica:
        hellos = [peer.hello for peer in server.workers if peer.hello is not None]
        newest = max(hellos, key=lambda hello: hello.generation, default=None)
        return Replica(
            id=self._id,
            host=self._called(newest.url if newest else ""),
            url=newest.url if newest else "",
            generation=newest.generation if newest else 0,
            applied_seq=server.applied_by_all(seq),
            workers={str(hello.worker): {"generation": hello.generation} for hello in hellos},
        )

    def _called(self, url: str) -> str:
        """What people call it: several on one machine differ by their ports."""
        name = socket.gethostname()
        if self._deployment is None:
            return name
        return self._deployment.replica or f"{name}:{url.rpartition(':')[2]}"


def _seen(row: Replica, connection: Connection) -> None:
    replicas.seen(connection, row)


def _left(id: str, connection: Connection) -> None:
    replicas.leave(connection, id)
