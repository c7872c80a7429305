"""What one worker hears from a server is known to all of them, for a few seconds."""

from __future__ import annotations

from aiops.gateway.worker.hearsay import STALE, WANTED, Hearsay
from aiops.gateway.worker.slots import IN_FLIGHT, Slots
from aiops.spec.choosing.said import Said
from tests.unit.gateway.clock import Clock


class Workers:
    """Two of one gateway."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.slots = Slots(2, 2)
        self.one, self.other = (Hearsay(self.slots, worker, {"gpu": 1}, self.clock) for worker in (0, 1))

    def sends(self, number: int, worker: int = 0) -> None:
        self.slots.put(worker, 1, IN_FLIGHT, float(number))


def test_all_workers_know_what_one_has_heard() -> None:
    workers = Workers()
    assert workers.other.said("gpu") is None
    workers.one.hear("gpu", Said(3, 2, 0.5), 0.0)
    assert workers.other.said("gpu") == Said(3, 2, 0.5, beside=5)
    assert workers.other.said("cloud") is None


def test_the_latest_word_counts_whoever_heard_it() -> None:
    workers = Workers()
    workers.one.hear("gpu", Said(3, 2, 0.5), 0.0)
    workers.clock.now += 1
    workers.other.hear("gpu", Said(1), 0.0)
    assert workers.one.said("gpu") == Said(1, None, None, beside=1)


def test_what_is_not_told_again_counts_for_nothing() -> None:
    workers = Workers()
    workers.one.hear("gpu", Said(3), 0.0)
    workers.clock.now += STALE
    assert workers.one.said("gpu") is not None
    workers.clock.now += 0.001
    assert workers.one.said("gpu") is None


def test_requests_of_others_are_those_that_this_gateway_has_not_sent() -> None:
    workers = Workers()
    workers.sends(2, worker=0)
    workers.sends(1, worker=1)
    workers.one.hear("gpu", Said(4, 1), workers.one.sent("gpu"))
    assert workers.one.said("gpu") == Said(4, 1, beside=2)
    workers.one.hear("gpu", Said(1, 0), workers.one.sent("gpu"))
    assert workers.one.said("gpu") == Said(1, 0, beside=0), "some of ours are still on their way"


def test_one_of_ours_that_ends_makes_room_for_one_that_waits() -> None:
    workers = Workers()
    workers.sends(3)
    workers.one.hear("gpu", Said(2, 2), 3.0)
    workers.sends(2)
    assert workers.one.said("gpu") == Said(2, 1, beside=1)
    workers.sends(0)
    assert workers.one.said("gpu") == Said(2, 0, beside=1)
    workers.sends(5)
    assert workers.one.said("gpu") == Said(2, 2, beside=1), "and one that begins is counted by the board"


def test_only_one_worker_needs_to_ask() -> None:
    workers = Workers()
    assert workers.one.due("gpu") == workers.other.due("gpu") == 0.0
    workers.one.ask_again("gpu", 0.5)
    assert workers.one.due("gpu") == workers.other.due("gpu") == 0.5
    workers.clock.now += 0.5
    assert workers.other.due("gpu") == 0.0


def test_a_worker_that_dies_while_it_asks_keeps_nobody_from_asking() -> None:
    workers = Workers()
    workers.one.ask_again("gpu", 60.0)
    workers.slots.clear(0)
    assert workers.other.due("gpu") == 0.0


def test_nobody_is_asked_when_no_request_came_for_a_while() -> None:
    workers = Workers()
    woken: list[float] = []
    workers.one.wake = lambda: woken.append(workers.clock.now)
    assert not workers.one.wanted
    for _ in range(3):
        workers.one.said("gpu")
    assert workers.one.wanted
    assert woken == [1000.0], "the first request after a pause wakes those who ask"
    workers.clock.now += WANTED
    assert not workers.one.wanted
    workers.one.said("cloud")
    assert not workers.one.wanted, "this one says nothing anyway"
    workers.one.said("gpu")
    assert woken == [1000.0, 1000.0 + WANTED]
