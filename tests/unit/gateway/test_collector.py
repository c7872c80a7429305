"""Garbage of a worker is collected, and only between callbacks of its event loop."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from aiops.gateway.worker.collector import TICK, collect_between_callbacks, collect_what_is_due


class Knot:
    """Garbage that only the collector can find."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture(autouse=True)
def automatic_again() -> Iterator[None]:
    yield
    gc.enable()


def knots(count: int) -> weakref.ref[Knot]:
    first = Knot()
    rest = [Knot() for _ in range(count)]
    del rest
    return weakref.ref(first)


def test_garbage_is_collected_when_the_loop_turns_and_not_before() -> None:
    async def scenario() -> None:
        collecting = asyncio.create_task(collect_between_callbacks())
        await asyncio.sleep(0)
        assert not gc.isenabled()
        garbage = knots(gc.get_threshold()[0] * 30)
        assert garbage() is not None, "nothing collects in the middle of a callback"
        await asyncio.sleep(3 * TICK)
        assert garbage() is None
        collecting.cancel()

    asyncio.run(scenario())


def test_nothing_is_collected_while_there_is_little() -> None:
    gc.disable()
    gc.collect()
    assert collect_what_is_due() is None
