"""What keeps the tables small and ready: partitions made ahead, rows dropped whose meaning is over."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection

from aiops.gateway.accountant.database import Database, Unusable
from aiops.gateway.accountant.say import say
from aiops.gateway.shared import pointer
from aiops.gateway.shared.journald import WARNING
from aiops.state.store import changes, clock, idempotency, replicas, usage

EVERY_SECONDS = 3600.0
CHANGES_SECONDS = 7 * 86_400  # every worker that lives has applied them since
REPLICAS_SECONDS = 7 * 86_400
PAUSE_SECONDS = 0.1  # between batches: who waits for SQLite's lock looks at it as often (sqliteDefaultBusyCallback)
USAGE_DAYS = 400  # where `usage.keep_days` does not say otherwise
RUNWAY_SECONDS = 7 * 86_400  # less than that, and whoever runs the gateway is told

STAYS = frozenset(
    {
        *("keys", "key_hashes", "teams", "team_members", "users", "budgets"),  # until people remove them
        *("usage_daily", "usage_daily_totals", "usage_daily_tags"),  # a budget without a window is counted from them
        *("audit", "imported", "published_generations"),  # a line for each act of people
        *("leases", "meta"),  # a row for each name, which the code has
    }
)
"""Tables of which nothing is dropped here; each other one has somebody below who drops."""


async def keep_house(database: Database, state: Path) -> None:
    """Until cancelled. ``state``: the directory; its committed generation says how long the ledger is kept."""
    while True:
        with suppress(Unusable):
            await database.write(_keep)
            before = int((time.time() - days_kept(state) * 86_400) * clock.SECOND)
            while await database.write(lambda connection: usage.drop_before(connection, before)):  # noqa: B023
                # What is entered meanwhile waits for a batch at most, and so do other processes.
                await asyncio.sleep(PAUSE_SECONDS)
            if (left := await database.read(usage.runway)) is not None and left < RUNWAY_SECONDS:
                say(
                    f"the ledger has months made ahead for {left / 86_400:.0f} more days only: `aiops database check`",
                    WARNING,
                )
        await asyncio.sleep(EVERY_SECONDS)


def days_kept(state: Path) -> float:
    """As the committed generation says it; what is damaged says nothing."""
    generation = pointer.read(state)
    with suppress(OSError, ValueError, AttributeError):
        if generation is not None:
            said = json.loads((generation / "release" / "gateway.json").read_bytes()).get("usage_keep_days")
            return float(said) if said is not None else USAGE_DAYS
    return USAGE_DAYS


def _keep(connection: Connection) -> None:
    usage.make_partitions(connection)
    changes.prune(connection, int((time.time() - CHANGES_SECONDS) * clock.SECOND))
    idempotency.prune(connection)
    replicas.prune(connection, REPLICAS_SECONDS)
