"""``/metrics`` as the accountant answers it: what all processes have counted, and what it knows beside."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection

import aiops
from aiops.gateway.accountant.database import Database, Unusable
from aiops.gateway.accountant.ingest import Ingest
from aiops.gateway.accountant.presence import SEEN_SECONDS
from aiops.gateway.accountant.proving import Proving
from aiops.gateway.accountant.say import say
from aiops.gateway.accountant.server import Server
from aiops.gateway.shared.journald import WARNING
from aiops.gateway.shared.metrics import series, totals
from aiops.gateway.shared.metrics.memory import Memory
from aiops.gateway.shared.metrics.series import Key
from aiops.gateway.shared.steady import Condition
from aiops.state import money
from aiops.state.store import partitions, replicas
from aiops.state.usage import writer

LOOK_SECONDS = 10.0
LIVE_SECONDS = 3 * SEEN_SECONDS  # since a replica gave a sign of life


class Probed(Protocol):
    """A store, and how it is."""

    probed: float

    @property
    def kind(self) -> str: ...
    @property
    def condition(self) -> Condition: ...


class Metrics:
    """``memory``: this process's own."""

    def __init__(
        self, state: Path, memory: Memory, database: Database, counters: Probed, server: Server, proving: Proving
    ) -> None:
        self._state, self._memory, self._server, self._proving = state, memory, server, proving
        self._database = database
        self._stores: tuple[Probed, ...] = (database, counters)
        self._slow: Mapping[Key, float] = {}
        self._said = False

    def lost(self, many: int) -> None:
        """Requests were, with a process that was killed."""
        self._memory.add(self._memory.places[(series.REQUESTS.name, "lost", "none")], many)

    async def keep(self) -> None:
        """Until cancelled: what would take too long when somebody asks."""
        while True:
            try:
                totals.fold(self._state, writer.lives)
                self._said = False
            except OSError as error:
                if not self._said:
                    say(f"what ended workers have counted is left where it is: {error}", WARNING)
                self._said = True
            with suppress(Unusable):
                self._slow = await self._database.read(_slow)
            await asyncio.sleep(LOOK_SECONDS)

    def text(self, ingest: Ingest) -> str:
        from aiops.gateway.shared.metrics import text  # not before somebody asks

        return text.text(text.numbers(totals.read(self._state, writer.lives), self._known(ingest)))

    def _known(self, ingest: Ingest) -> dict[Key, float]:
        size, seconds = ingest.behind()
        proving, hellos = self._proving, [peer.hello for peer in self._server.workers if peer.hello is not None]
        found: dict[Key, float] = {
            (series.BUILD.name, aiops.__version__): 1,
            (series.ACCOUNTANT.name,): 1,
            (series.GENERATION.name,): max((hello.generation for hello in hellos), default=0),
            (series.SPOOL_BYTES.name,): size,
            (series.SPOOL_LAG.name,): seconds,
            (series.DIFFERENCE.name,): money.dollars(proving.difference),
            (series.DIFFERING.name,): proving.differing,
            (series.PROVED.name,): proving.proved,
            (series.PROVED_AT.name,): proving.at,
            **self._slow,
        }
        for store in self._stores:
            found[(series.STORE_UP.name, store.kind)] = int(store.condition.is_well)
            found[(series.STORE_PROBE.name, store.kind)] = store.probed
        return found


def _slow(connection: Connection) -> Mapping[Key, float]:
    runway = partitions.runway(connection)
    found: dict[Key, float] = {(series.REPLICAS.name,): len(replicas.live(connection, LIVE_SECONDS))}
    return found if runway is None else {**found, (series.RUNWAY.name,): runway}
