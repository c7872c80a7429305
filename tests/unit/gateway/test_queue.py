"""Who is next at a provider whose slots are taken, and who gives up."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from aiops.gateway.worker.board import Board
from aiops.gateway.worker.call import Call
from aiops.gateway.worker.queue import Queue, TurnedAway
from aiops.gateway.worker.slots import Slots
from aiops.spec.choosing.rules import ProviderFacts, QueueFacts, RoutingTable


class Box:
    """A provider with one slot, as one of two workers sees it. ``order``: the keys in their turn."""

    def __init__(
        self,
        most: int = 100,
        seconds: float = 30.0,
        slots: Slots | None = None,
        worker: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        facts = ProviderFacts(parallel=1, local=True, queue=QueueFacts(most, seconds))
        self.board = Board(RoutingTable(providers={"box": facts}), slots or Slots(2, 1), worker, clock)
        self.queue = Queue(self.board)
        self.order: list[str] = []

    async def ask(self, key: str, weight: float = 1.0, call: Call | None = None) -> Call:
        call = call or Call()
        await self.queue.enter(call, "box", key, weight)
        assert self.board.in_flight("box") == 0
        self.board.begin(call, "d", "box")
        self.order.append(key)
        return call

    async def wait(self, key: str, weight: float = 1.0) -> None:
        """Asks, and is answered at once when it is its turn."""
        self.board.over(await self.ask(key, weight))

    async def waits(self, count: int) -> None:
        async with asyncio.timeout(20):
            while self.queue.waiting("box") < count:
                await asyncio.sleep(0)


async def all_of(box: Box, *asks: tuple[str, float]) -> list[str]:
    """The order in which they are asked for that wait at the same time."""
    first = await box.ask("first")
    tasks = [asyncio.create_task(box.wait(*each)) for each in asks]
    await box.waits(len(asks))
    box.board.over(first)
    async with asyncio.timeout(10):
        await asyncio.gather(*tasks)
    return box.order[1:]


def test_keys_have_their_turns_by_weight_whoever_asked_for_more() -> None:
    order = asyncio.run(all_of(Box(), *[("light", 1.0)] * 40, *[("heavy", 3.0)] * 30))
    for number in range(4, 41, 4):
        assert abs(Counter(order[:number])["heavy"] - number * 3 / 4) <= 1
    assert Counter(order) == {"light": 40, "heavy": 30}


def test_of_one_key_the_first_is_first() -> None:
    box = Box()

    async def test() -> None:
        first = await box.ask("first")
        tasks = [asyncio.create_task(box.ask("k")) for _ in range(3)]
        await box.waits(3)
        box.board.over(first)
        for task in tasks:
            async with asyncio.timeout(20):
                box.board.over(await task)

    asyncio.run(test())


def test_who_slept_has_saved_nothing_up() -> None:
    async def test() -> None:
        box = Box()
        calls = [await box.ask("first")]
        busy = [asyncio.create_task(box.ask("busy")) for _ in range(4)]
        await box.waits(4)
        for task in busy[:2]:
            box.board.over(calls[-1])
            calls.append(await task)
        late = [asyncio.create_task(box.wait("late")) for _ in range(4)]
        await box.waits(6)
        box.board.over(calls[-1])
        for task in busy[2:]:
            box.board.over(await task)
        await asyncio.gather(*late)
        assert box.order[3:7] in (["busy", "late", "busy", "late"], ["late", "busy", "late", "busy"])

    asyncio.run(test())


def test_one_too_many_is_turned_away_with_an_estimate_and_so_is_one_whose_time_is_up() -> None:
    async def test() -> None:
        box = Box(most=1, seconds=0.2)
        await box.ask("first")
        waiting = asyncio.create_task(box.ask("k"))
        await box.waits(1)
        with pytest.raises(TurnedAway, match="1 requests wait") as full:
            await box.ask("k")
        assert full.value.wait == pytest.approx(2.0)  # a second each, as long as nothing better is known
        with pytest.raises(TurnedAway, match=r"within 0\.2 s"):
            await waiting
        assert box.queue.waiting("box") == 0

    asyncio.run(test())


def test_the_estimate_goes_by_what_the_last_requests_took() -> None:
    async def test() -> None:
        now = [0.0]
        box = Box(most=1, clock=lambda: now[0])
        for _ in range(40):
            call = await box.ask("k")
            now[0] += 10.0
            box.board.answered(call)
            box.board.over(call)
            called_off = await box.ask("k")  # says nothing of how long an answer takes
            box.board.over(called_off)
        await box.ask("first")
        waiting = asyncio.create_task(box.wait("k"))
        await box.waits(1)
        with pytest.raises(TurnedAway) as full:
            await box.ask("k")
        assert full.value.wait == pytest.approx(20.0, rel=0.01)  # of the one that waits, and its own
        waiting.cancel()

    asyncio.run(test())


@pytest.mark.parametrize("how", ["cancelled", "left"])
def test_who_leaves_takes_nobodys_turn_and_is_charged_nothing(how: str) -> None:
    async def test() -> None:
        box, gone = Box(), asyncio.Event()
        first = await box.ask("first")
        call = Call()
        call.receive = gone.wait
        leaving = asyncio.create_task(box.ask("k", call=call))
        await box.waits(1)
        others = [asyncio.create_task(box.wait(key)) for key in ("k", "other")]
        await box.waits(3)
        leaving.cancel() if how == "cancelled" else gone.set()
        with pytest.raises(asyncio.CancelledError if how == "cancelled" else TurnedAway):
            await leaving
        assert box.queue.waiting("box") == 2
        others += [asyncio.create_task(box.wait(key)) for key in ("k", "other")]
        await box.waits(4)
        box.board.over(first)
        await asyncio.gather(*others)
        assert box.order == ["first", "k", "other", "k", "other"]

    asyncio.run(test())


def test_who_is_cancelled_with_its_turn_in_hand_passes_it_on() -> None:
    async def test() -> None:
        box = Box()
        first = await box.ask("first")
        tasks = [asyncio.create_task(box.wait(key)) for key in ("a", "b")]
        await box.waits(2)
        box.board.over(first)
        while box.queue.waiting("box") == 2:
            await asyncio.sleep(0)
        tasks[0].cancel()
        async with asyncio.timeout(20):
            await tasks[1]
        assert box.order == ["first", "b"]

    asyncio.run(test())


def test_a_slot_that_another_worker_gives_back_is_seen() -> None:
    async def test() -> None:
        slots = Slots(2, 1)
        here, there = Box(slots=slots), Box(slots=slots, worker=1)
        taken = await there.ask("first")
        waiting = asyncio.create_task(here.wait("k"))
        await here.waits(1)
        await asyncio.sleep(0.05)
        assert not waiting.done()
        there.board.over(taken)
        async with asyncio.timeout(20):
            await waiting

    asyncio.run(test())


def test_proofs_and_providers_without_a_queue_do_not_wait() -> None:
    async def test() -> None:
        box = Box()
        await box.ask("first")
        proof: Any = Call(proof=True)
        await box.queue.enter(proof, "box", "", 1.0)
        plain = Call()
        await box.queue.enter(plain, "another", "k", 1.0)
        assert proof.queued is plain.queued is None

    asyncio.run(test())


def test_a_table_says_of_queues_only_where_there_are_any_and_reads_what_it_said() -> None:
    without = RoutingTable(providers={"box": ProviderFacts(1, local=True)})
    queue = RoutingTable(providers={"box": ProviderFacts(1, local=True, queue=QueueFacts(5, 2.0))})
    assert b"queue" not in without.to_json()
    assert [RoutingTable.from_json(each.to_json()) for each in (without, queue)] == [without, queue]
