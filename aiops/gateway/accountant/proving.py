"""``aiops usage prove`` all the time, a few budgets at once: what their counters have settled is what the ledger says.

While requests go on neither stands still, so the ledger is read before the counters and after them, with all that is
in the spools written between: it may never be more before, nor less after. What differs is looked at again before it
counts as a difference: usage of another replica may still be on its way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from itertools import islice

from sqlalchemy import Connection, select

from aiops.gateway.accountant.database import Database, Unusable
from aiops.gateway.accountant.say import say
from aiops.gateway.shared.journald import WARNING
from aiops.state import money
from aiops.state.counters.meters import Unavailable
from aiops.state.counters.opened import Opened
from aiops.state.counters.standing import standing
from aiops.state.store import clock
from aiops.state.store.tables import keys
from aiops.state.usage import budgets
from aiops.state.usage.budgets import Counted

EVERY_SECONDS = 10.0
AT_ONCE = 10  # keys that were used lately, and as many of all others, in turn
CERTAIN = 3  # times in a row that a budget differs until it is said
COUNTERS_SECONDS = 2.0
WRITTEN_SECONDS = 0.25  # from what is settled in the counters until its record is in a spool, at the latest
MOST_ACTIVE = 10_000


class Proving:
    """``ingest`` writes what is in the spools; whether it could."""

    def __init__(self, database: Database, counters: Opened, ingest: Callable[[], Awaitable[bool]]) -> None:
        self._database, self._counters, self._ingest = database, counters, ingest
        self._active: dict[str, None] = {}  # keys, in the order in which they were used first
        self._suspects: dict[str, tuple[str, int, int]] = {}  # counter -> a key of it, times in a row, by how much
        self._last = ""  # of the keys that have had their turn
        self.proved = 0
        self.at = 0.0
        """When it was done last, seconds since 1970; 0: not yet."""

    @property
    def differing(self) -> int:
        return sum(times >= CERTAIN for _, times, _ in self._suspects.values())

    @property
    def difference(self) -> int:
        """Nano-dollars, over all budgets."""
        return sum(amount for _, times, amount in self._suspects.values() if times >= CERTAIN)

    def used(self, ids: Iterable[str]) -> None:
        """These keys have spent something."""
        for id in ids:
            if len(self._active) < MOST_ACTIVE:
                self._active[id] = None

    async def forever(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            with suppress(Unusable, Unavailable, TimeoutError):  # it says so itself
                await self.once()

    async def once(self) -> None:
        """Raises Unusable, Unavailable, TimeoutError."""
        suspects = {key for key, _, _ in self._suspects.values()}
        active = list(islice(self._active, AT_ONCE))
        for id in active:
            self._active.pop(id, None)
        # Where what writes does: whoever looks a key up does not wait for a sum.
        turn = await self._database.write(self._next)
        found, before = await self._sums(sorted({*suspects, *active, *turn}))
        async with asyncio.timeout(COUNTERS_SECONDS):
            stand = await standing(self._counters.lasting, [each.meter for _, each in found])
        await asyncio.sleep(WRITTEN_SECONDS)
        if not await self._ingest():
            return
        after = await self._database.write(lambda connection: [budgets.spent(connection, each) for _, each in found])
        gone = dict(self._suspects)
        for (key, each), least, most in zip(found, before, after, strict=True):
            gone.pop(each.meter.name, None)
            level = stand.get(each.meter.name)
            settled = None if level is None else level.used - level.reserved
            amount = 0 if settled is None else max(0, least - settled) + max(0, settled - most)
            self._note(each, key, amount)
        for name in gone:  # its window is over, or its key is
            del self._suspects[name]
        self.proved, self.at = self.proved + len(found), time.time()

    def _note(self, of: Counted, key: str, amount: int) -> None:
        name = of.meter.name
        _, times, _ = self._suspects.pop(name, ("", 0, 0))
        if not amount:
            if times >= CERTAIN:
                say(f"ledger and counter of {of.account.kind} {of.account.id} agree again")
            return
        self._suspects[name] = key, times + 1, amount
        if times + 1 == CERTAIN:
            what = f"{of.account.kind} {of.account.id} differ by {money.shown(amount)}"
            say(f"ledger and counter of {what}; `aiops usage prove` shows them", WARNING)

    async def _sums(self, ids: Sequence[str]) -> tuple[list[tuple[str, Counted]], list[int]]:
        def read(connection: Connection) -> tuple[list[tuple[str, Counted]], list[int]]:
            now = clock.read(connection) / clock.SECOND
            found: dict[str, tuple[str, Counted]] = {}
            for id in ids:
                for each in budgets.of_keys(connection, [id], now):
                    found.setdefault(each.meter.name, (id, each))
            return [*found.values()], [budgets.spent(connection, each) for _, each in found.values()]

        return await self._database.write(read)

    def _next(self, connection: Connection) -> list[str]:
        statement = select(keys.c.id).where(keys.c.revoked_at.is_(None), keys.c.id > self._last)
        found = list(connection.scalars(statement.order_by(keys.c.id).limit(AT_ONCE)))
        self._last = found[-1] if len(found) == AT_ONCE else ""
        return found
