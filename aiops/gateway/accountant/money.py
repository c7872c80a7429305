"""A money counter says what the ledger says and what is reserved, also after the counters were lost or changed.

A row of the ledger is settled in the counters whose ``epoch`` it bears. In any other it is counted here: by ``post``
when it is entered, where the counter is there already; by ``seed`` when the counter is made. The two never run at the
same time, so that nothing is counted twice, and nothing not at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

from sqlalchemy import Connection

from aiops.gateway.accountant.database import Database, Unusable
from aiops.gateway.shared.accounting import Unseeded
from aiops.state import rules
from aiops.state.counters.meters import Unavailable
from aiops.state.counters.opened import Opened
from aiops.state.shapes import Identity, Kind
from aiops.state.store import identity, usage
from aiops.state.usage.record import Usage
from aiops.state.usage.spool import Accepted, Record

T = TypeVar("T")
COUNTERS_SECONDS = 5.0


class Money:
    """``counters``: of the committed generation."""

    def __init__(self, database: Database, counters: Opened) -> None:
        self._database = database
        self._counters = counters.deciding
        self._lasting = counters.lasting

    async def enter(self, records: Sequence[Usage]) -> None:
        """Into the ledger, and into counters that do not have it. Raises Unusable: then it is to be done again."""
        loop = asyncio.get_running_loop()
        # What nobody has a budget for is written also while nobody counts. That others stand in for a while is no
        # reason not to tell the counters that come back.
        counts = any(each.cost and each.key for each in records)
        epoch = await self._here(self._lasting.epoch()) if counts else ""

        def enter(connection: Connection) -> None:
            inserted = set(usage.ingest(connection, records))
            strange = [
                each for each in records if each.id in inserted and each.cost and each.key and each.epoch != epoch
            ]
            if strange:  # before the commit: killed in between, it is done again, and counted once
                who = {key: identity.by_id(connection, key) for key in {each.key for each in strange} if key}
                costs = [(each.id, found) for each in strange if (found := _costs(who.get(each.key), each))]
                asyncio.run_coroutine_threadsafe(self._post(costs), loop).result()

        await self._database.write(enter)

    async def settle(self, owner: str, records: Sequence[Record]) -> list[Usage]:
        """What a dead process had under way: what it had begun to settle is settled, if it was not; of the rest nobody
        knows what it used, and what it reserved is given back. ``owner``: of the reservations. Raises Unusable."""
        settled = []
        for each in records:
            if isinstance(each, Accepted):
                await self._here(self._counters.void(each.id))
                settled.append(each.lost())
            else:
                tokens = each.prompt_tokens + each.completion_tokens
                done = await self._here(self._counters.settle(each.id, tokens, each.cost or 0))
                settled.append(replace(each, epoch=done.epoch))
        await self._here(self._counters.gone(owner))
        return settled

    async def seed(self, counters: Sequence[Unseeded], of: Opened) -> None:
        """Tell these counters what the ledger says. ``of``: the generation that asks. Raises Unusable."""
        loop = asyncio.get_running_loop()
        epoch = await self._here(of.deciding.epoch())
        ends = {each.name: each.ends for each in counters}

        def seed(connection: Connection) -> None:
            usage.seeding(connection)
            amounts = {each.name: each.base + _spent(connection, each, epoch) for each in counters}
            asyncio.run_coroutine_threadsafe(self._here(of.deciding.seed(amounts, ends, epoch)), loop).result()

        await self._database.write(seed)

    async def _post(self, all_costs: Sequence[tuple[str, Mapping[str, tuple[int, int | None]]]]) -> None:
        for id, costs in all_costs:
            amounts = {name: cost for name, (cost, _) in costs.items()}
            await self._here(self._counters.post(id, amounts, {name: ends for name, (_, ends) in costs.items()}))

    async def _here(self, call: Coroutine[Any, Any, T]) -> T:
        try:
            async with asyncio.timeout(COUNTERS_SECONDS):
                return await call
        except (Unavailable, TimeoutError) as error:
            raise Unusable(f"the counters cannot be reached: {error}") from error


def _spent(connection: Connection, of: Unseeded, epoch: str) -> int:
    kind = cast(Kind, of.kind)
    return usage.spent(connection, kind, of.account, of.begins, of.ends, model=of.model, not_epoch=epoch)


def _costs(who: Identity | None, record: Usage) -> dict[str, tuple[int, int | None]]:
    """The money counters of a request by name: what to add, and when their window ends."""
    if who is None:
        return {}
    began = record.started / 1e6
    return {
        each.meter.name: (record.cost or 0, each.meter.ends)
        for each in rules.counts(who, record.model, began).counted
        if each.meter.what == "money" and began >= each.account.base_at
    }
