"""What a row of the ledger is not settled in is counted, whatever happens to the counters meanwhile."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from aiops.gateway.accountant.database import Database
from aiops.gateway.accountant.money import Money, _in
from aiops.state.counters.opened import Opened
from aiops.state.store import keys
from aiops.state.store.rows import Key
from tests.unit.state.usage.test_spool import usage


class Counters:
    """Of one epoch, until they are lost and are of another one."""

    def __init__(self) -> None:
        self.now = "e1"
        self.posted: list[str] = []
        self.deciding = self.lasting = self

    async def epoch(self) -> str:
        return self.now

    async def post(self, id: str, amounts: Mapping[str, int], ends: Mapping[str, int | None]) -> None:
        self.posted.append(id)


def test_counters_that_are_lost_while_records_wait_for_the_writer_are_told_of_them(tmp_path: Path) -> None:
    async def act() -> list[str]:
        database, counters = Database(tmp_path / "aiops.db", lambda store: None), Counters()
        money = Money(database, cast(Opened, counters))
        await database.check()
        key = Key(id="k", name="sk-...abcd", max_budget=10**12, budget_duration="30d")
        await database.write(lambda connection: keys.add(connection, key, "h"))
        busy, free = threading.Event(), threading.Event()

        def hold(connection: Any) -> None:
            busy.set()
            free.wait(10)

        holding = asyncio.create_task(database.write(hold))
        await asyncio.to_thread(busy.wait, 10)
        entering = asyncio.create_task(money.enter([replace(usage("1"), key="k", cost=5, epoch="e1 key:0:30d ")]))
        await asyncio.sleep(0.05)  # it waits for its turn
        counters.now = "e2"
        free.set()
        await holding
        await entering
        database.close()
        return counters.posted

    assert asyncio.run(act()) == ["1"]


def test_what_the_writer_asks_when_everything_has_ended_is_not_left_half_begun() -> None:
    ended = asyncio.new_event_loop()
    ended.close()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with pytest.raises(RuntimeError, match="closed"):
            _in(ended, Counters().epoch)
        gc.collect()
    assert [str(each.message) for each in said] == []
