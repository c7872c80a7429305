"""What the accountant drops, and when: each table has somebody who answers for its size."""

from __future__ import annotations

import asyncio
import json
import time
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select

from aiops.gateway.accountant.database import Database
from aiops.gateway.accountant.upkeep import STAYS, USAGE_DAYS, days_kept, keep_house
from aiops.gateway.shared import pointer
from aiops.spec.shapes.settings import Usage as Settings
from aiops.state.store import clock, partitions, usage
from aiops.state.store.partitions import BATCH
from aiops.state.store.tables import metadata
from aiops.state.store.tables import usage as ledger
from aiops.state.usage.record import Usage

DAY = 86_400


def generation(state: Path, **said: object) -> None:
    release = state / "generations" / "000001" / "release"
    release.mkdir(parents=True)
    (release / "gateway.json").write_text(json.dumps(said))
    pointer.flip(state, release.parent)


def used(id: int, days: float) -> Usage:
    return Usage(
        id=str(id), started=int((time.time() - days * DAY) * clock.SECOND), key="", team=None, user=None, model="m",
        provider="p", served="m", path="/v1/chat/completions", seconds=1, first=None, status=200, outcome="answered",
        prompt_tokens=1, completion_tokens=1, cached_tokens=0, cost=3, estimated=False, stream=False, generation=1,
        replica="r", epoch="e",
    )  # fmt: skip


@pytest.mark.shows("aiops.yaml: usage.keep_days")
def test_requests_are_dropped_when_they_are_older_than_they_are_kept(tmp_path: Path) -> None:
    generation(tmp_path, usage_keep_days=30)
    old = [used(number, 31) for number in range(BATCH + 5)]  # more than are dropped at once

    async def act() -> tuple[int, int]:
        database = Database(tmp_path / "aiops.db", lambda store: None)
        await database.check()
        await database.write(lambda connection: usage.ingest(connection, [*old, used(-1, 29)]))
        house = asyncio.create_task(keep_house(database, tmp_path))
        try:
            count = select(func.count()).select_from(ledger)
            while (left := await database.read(lambda connection: connection.scalar(count))) != 1:
                assert not house.done()
                await asyncio.sleep(0.02)
            (total,) = await database.read(lambda connection: usage.by(connection, ()))
        finally:
            house.cancel()
            database.close()
        return left, total.cost

    assert asyncio.run(asyncio.wait_for(act(), 60)) == (1, 3 * (BATCH + 6)), "the sums of their days have them all"


def test_between_two_batches_another_process_gets_hold_of_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generation(tmp_path, usage_keep_days=30)
    held: list[tuple[float, float]] = []
    drop_before = usage.drop_before

    def noted(connection: Connection, when: int) -> bool:
        began = time.monotonic()
        more = drop_before(connection, when)
        held.append((began, time.monotonic()))
        return more

    monkeypatch.setattr(partitions, "BATCH", 1)
    monkeypatch.setattr(usage, "drop_before", noted)

    async def act() -> None:
        database = Database(tmp_path / "aiops.db", lambda store: None)
        await database.check()
        await database.write(lambda connection: usage.ingest(connection, [used(number, 31) for number in range(3)]))
        house = asyncio.create_task(keep_house(database, tmp_path))
        try:
            while len(held) < 4:
                assert not house.done()
                await asyncio.sleep(0.02)
        finally:
            house.cancel()
            database.close()

    asyncio.run(asyncio.wait_for(act(), 60))
    # A busy handler of SQLite sleeps for 0.1 s at most between two looks.
    assert all(begins - ended >= 0.1 for (_, ended), (begins, _) in pairwise(held))


@pytest.mark.parametrize("damaged", [False, True])
def test_without_a_word_of_the_operator_they_are_kept_for_as_long_as_the_settings_say(
    tmp_path: Path, damaged: bool
) -> None:
    assert days_kept(tmp_path) == USAGE_DAYS == Settings().keep_days
    generation(tmp_path)
    if damaged:
        (tmp_path / "generations" / "000001" / "release" / "gateway.json").write_text("[]")
    assert days_kept(tmp_path) == USAGE_DAYS


def test_of_each_table_was_decided_who_drops_its_rows() -> None:
    """A table beside the others that nobody ever pruned filled a disk elsewhere."""
    dropped = {"usage", "changes", "replicas", "idempotency"}
    assert set(metadata.tables) == STAYS | dropped
    assert not STAYS & dropped
