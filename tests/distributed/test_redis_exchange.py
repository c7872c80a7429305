"""Where gateways meet: what one said is heard by the others, for as long as it was said to last."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from aiops.state.counters.meters import Unavailable
from aiops.state.counters.redis import Redis as Counters
from tests.kit.counters.clock import Clock
from tests.kit.redis import Redis


def both(url: str, act: Callable[[Counters, Counters], Awaitable[None]], clock: Clock | None = None) -> None:
    async def run() -> None:
        one, other = (Counters(url, connect=10, command=10, clock=clock) for _ in range(2))
        await act(one, other)
        await one.close()
        await other.close()

    asyncio.run(run())


def test_each_hears_the_others_and_how_long_ago_they_said_it(redis_url: str) -> None:
    clock = Clock()

    async def act(one: Counters, other: Counters) -> None:
        assert await one.exchange("one", b'{"said":\x00"\xff"}', 5) == []
        clock.pass_by(1.5)
        assert await other.exchange("other", b"2", 5) == [(1.5, b'{"said":\x00"\xff"}')]
        assert await one.exchange("one", b"3", 5) == [(0.0, b"2")]
        assert await other.exchange("other", b"4", 5) == [(0.0, b"3")]
        assert await other.exchange("third", b"5", 5) == [(0.0, b"3"), (0.0, b"4")]

    both(redis_url, act, clock)


def test_what_was_said_by_one_who_is_gone_is_forgotten(redis_url: str) -> None:
    async def act(one: Counters, other: Counters) -> None:
        await one.exchange("gone", b"1", 0.3)
        await one.exchange("there", b"2", 30)
        async with asyncio.timeout(10):
            while len(await other.exchange("other", b"3", 30)) == 2:
                await asyncio.sleep(0.05)
        assert [said for _, said in await other.exchange("other", b"3", 30)] == [b"2"]

    both(redis_url, act)


def test_a_redis_that_was_emptied_or_started_anew_is_met_at_again() -> None:
    redis = Redis()
    try:

        async def act(one: Counters, other: Counters) -> None:
            await one.exchange("one", b"1", 30)
            redis.stop(9)
            with pytest.raises(Unavailable):
                await other.exchange("other", b"2", 30)
            redis.start()
            async with asyncio.timeout(20):
                while True:
                    try:
                        await one.exchange("one", b"3", 30)
                        heard = await other.exchange("other", b"4", 30)
                    except Unavailable:
                        await asyncio.sleep(0.1)
                        continue
                    break
            assert [said for _, said in heard] == [b"3"]

        both(redis.url, act)
    finally:
        redis.remove()
