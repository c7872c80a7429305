"""What keeps the tables small and ready: partitions made ahead, rows dropped whose meaning is over."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from sqlalchemy import Connection

from aiops.gateway.accountant.database import Database, Unusable
from aiops.state.store import changes, clock, idempotency, replicas, usage

EVERY_SECONDS = 3600.0
CHANGES_SECONDS = 7 * 86_400  # every worker that lives has applied them since
REPLICAS_SECONDS = 7 * 86_400


async def keep_house(database: Database) -> None:
    """Until cancelled."""
    while True:
        with suppress(Unusable):
            await database.write(_keep)
        await asyncio.sleep(EVERY_SECONDS)


def _keep(connection: Connection) -> None:
    usage.make_partitions(connection)
    changes.prune(connection, int((time.time() - CHANGES_SECONDS) * clock.SECOND))
    idempotency.prune(connection)
    replicas.prune(connection, REPLICAS_SECONDS)
