"""Ledger = counters is proved all the time: under load without a false alarm, and with one when it is not so."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from aiops.gateway.accountant.database import Database
from aiops.gateway.accountant.ingest import Ingest
from aiops.gateway.accountant.money import Money
from aiops.gateway.accountant.proving import Proving
from aiops.state import rules
from aiops.state.counters.meters import Demand, Granted, Unseeded
from aiops.state.counters.opened import Opened
from aiops.state.counters.shared import Shared
from aiops.state.store import identity, keys
from aiops.state.store.rows import Key
from aiops.state.usage import settled
from aiops.state.usage.spool import Spool
from tests.unit.state.usage.test_spool import usage

COST = 7_000_000


@dataclass
class Books:
    """A database, counters, a worker's spool, and one key with a budget."""

    database: Database
    counters: Shared
    spool: Spool
    ingest: Ingest
    proving: Proving

    async def spend(self, *, count: bool = True, write: bool = True) -> None:
        """One request, from its reservation to its record."""
        now = time.time()
        who = await self.database.read(lambda connection: identity.by_id(connection, "k"))
        assert who is not None
        meters = rules.counts(who, "alpha", now).meters
        demand = Demand(id=uuid.uuid4().hex, owner="1.2", meters=meters, cost=COST)
        decision = await self.counters.reserve(demand)
        if isinstance(decision, Unseeded):
            await self.counters.seed({each.name: 0 for each in meters}, {each.name: each.ends for each in meters})
            decision = await self.counters.reserve(demand)
        assert isinstance(decision, Granted)
        epoch = settled.settled(decision.epoch, (each.mark for each in meters))
        await (self.counters.settle(demand.id, 0, COST) if count else self.counters.void(demand.id))
        await asyncio.sleep(0.02)  # here it is settled, and in no spool
        if write:
            self.spool.ended(replace(usage(demand.id), key="k", cost=COST, epoch=epoch, started=int(now * 1e6)))


@asynccontextmanager
async def books(path: Path) -> AsyncIterator[Books]:
    database, counters = Database(path / "aiops.db", lambda condition: None), Shared(path / "counters")
    await database.check()
    key = Key(id="k", name="sk-...abcd", max_budget=10**12, budget_duration="30d")
    await database.write(lambda connection: keys.add(connection, key, "h"))
    money = Money(database, Opened(counters, counters))
    ingest = Ingest(path, money)
    proving = Proving(database, Opened(counters, counters), ingest.once)
    money.spent = proving.used
    spool = Spool(path, print)
    try:
        yield Books(database, counters, spool, ingest, proving)
    finally:
        await database.write(lambda connection: None)  # after what was under way when it was cancelled
        database.close()
        spool.close()
        counters.close()


def test_under_load_nothing_differs_at_any_moment(tmp_path: Path) -> None:
    async def act() -> None:
        async with books(tmp_path) as own:

            async def spend_and_spend() -> None:
                while True:
                    await own.spend()

            spending = [asyncio.create_task(spend_and_spend()) for _ in range(4)]
            ingesting = asyncio.create_task(own.ingest.forever())
            try:
                for _ in range(6):
                    await own.proving.once()
                    assert not own.proving._suspects
            finally:
                for each in (*spending, ingesting):
                    each.cancel()
                await asyncio.gather(*spending, ingesting, return_exceptions=True)
            assert own.proving.proved == 6

    asyncio.run(act())


@pytest.mark.parametrize(("count", "write"), [(True, False), (False, True)])
def test_what_only_one_of_them_has_is_told_when_it_is_certain_and_until_it_is_put_right(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], count: bool, write: bool
) -> None:
    async def act() -> None:
        async with books(tmp_path) as own:
            await own.spend()
            await own.proving.once()
            assert (own.proving.difference, own.proving.differing) == (0, 0)
            await own.spend(count=count, write=write)
            await own.ingest.once()
            for times in range(1, 6):
                await own.proving.once()
                certain = times >= 3
                assert (own.proving.difference, own.proving.differing) == (COST * certain, int(certain))
            await own.spend(count=not count, write=not write)
            await own.ingest.once()
            await own.proving.once()
            assert (own.proving.difference, own.proving.differing) == (0, 0)

    asyncio.run(act())
    said = [line for line in capfd.readouterr().err.splitlines() if "ledger and counter" in line]
    assert len(said) == 2
    assert "key k differ by $0.007" in said[0]
    assert "agree again" in said[1]


def test_every_key_has_its_turn_and_those_that_spend_have_it_first(tmp_path: Path) -> None:
    async def act() -> None:
        async with books(tmp_path) as own:

            def more(connection: object) -> None:
                for number in range(45):
                    key = Key(id=f"m{number:02d}", name="sk-...efgh", max_budget=10**9, budget_duration="1d")
                    keys.add(connection, key, f"h{number}")  # type: ignore[arg-type]

            await own.database.write(more)
            seen: set[str] = set()
            sums = own.proving._sums

            async def noted(ids: list[str]) -> object:
                seen.update(ids)
                return await sums(ids)

            own.proving._sums = noted  # type: ignore[method-assign, assignment]
            own.proving.used(["m44"])
            await own.proving.once()
            assert "m44" in seen
            for _ in range(5):
                await own.proving.once()
            assert len(seen) == 46

    asyncio.run(act())
