"""Counters that cannot be opened are asked again, and Redis does not miss them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from aiops.state.counters import later, opened
from aiops.state.counters.fallback import Fallback
from aiops.state.counters.later import Later
from aiops.state.counters.meters import Demand, Granted, Meter, Unavailable
from aiops.state.counters.shared import Shared

METER = Meter(name="key:K:parallel", what="parallel", limit=1)
DEMAND = Demand(id="a", owner="w", meters=[METER])


@pytest.fixture
def in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file where the directory is to be."""
    monkeypatch.setattr(later, "AGAIN", 0.0)
    (tmp_path / opened.ALONE).touch()
    (tmp_path / opened.STANDING_IN).touch()
    return tmp_path


def test_they_count_as_soon_as_they_can_be_opened(in_the_way: Path) -> None:
    said: list[str] = []
    counters = opened.opened(in_the_way, None, said.append).deciding
    assert "cannot be opened, and are tried again" in said[0] and str(in_the_way / opened.ALONE) in said[0]
    for _ in range(2):
        with pytest.raises(Unavailable, match="File exists") as error:
            asyncio.run(counters.reserve(DEMAND))
        assert not error.value.asked
    (in_the_way / opened.ALONE).unlink()
    assert isinstance(asyncio.run(counters.reserve(DEMAND)), Granted)
    assert asyncio.run(counters.levels([METER]))[0].used == 1
    assert asyncio.run(counters.settle("a", 0, 0))
    assert asyncio.run(counters.epoch())


def test_they_are_not_tried_more_often_than_now_and_then(tmp_path: Path) -> None:
    tries = 0

    def make() -> Shared:
        nonlocal tries
        tries += 1
        raise OSError(28, "No space left on device")

    counters = Later(tmp_path, make, "full")
    for _ in range(100):
        with pytest.raises(Unavailable, match="full"):
            asyncio.run(counters.alive("w"))
    assert tries == 0  # it was tried just now


def test_redis_is_given_signs_of_life_also_while_the_hosts_own_cannot_be_opened(in_the_way: Path) -> None:
    redis = Shared(in_the_way / "in-the-place-of-redis")
    own = Later(in_the_way, lambda: Shared(in_the_way / opened.STANDING_IN), "full")
    counters = Fallback(redis, own)

    async def test() -> None:
        assert isinstance(await counters.reserve(DEMAND), Granted)
        await counters.alive("w")
        await counters.seed({"key:K:usd:0": 5}, {}, await redis.epoch())
        await counters.gone("w")
        assert (await redis.levels([METER]))[0].used == 0

    asyncio.run(test())
