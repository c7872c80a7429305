"""Who had the last prompt of a conversation is known to all workers."""

from __future__ import annotations

from hashlib import blake2b

from aiops.gateway.worker.homes import RECOUNTED, Homes
from aiops.gateway.worker.slots import HOMES, Slots
from tests.unit.gateway.clock import Clock

NAMES = ("one", "two", "three")


class Workers:
    def __init__(self) -> None:
        self.clock, entries = Clock(), Slots(2, 1).homes
        self.one, self.other = (Homes(entries, names, self.clock) for names in (NAMES, reversed(NAMES)))


def home(number: int) -> bytes:
    return blake2b(str(number).encode(), digest_size=8).digest()


def test_what_one_worker_did_the_others_go_by() -> None:
    workers = Workers()
    assert workers.one.last(home(1)) is None
    workers.one.put(home(1), "two")
    assert (workers.other.last(home(1)), workers.other.last(home(2))) == ("two", None)
    workers.other.put(home(1), "one")
    assert workers.one.last(home(1)) == "one"


def test_who_only_stands_by_is_not_remembered() -> None:
    workers = Workers()
    workers.one.put(home(1), "two")
    workers.one.put(home(1), "a fallback")
    assert workers.one.last(home(1)) == "two"


def test_only_who_was_the_last_one_is_forgotten() -> None:
    workers = Workers()
    workers.one.put(home(1), "two")
    workers.other.forget(home(1), "one")
    assert workers.one.last(home(1)) == "two"
    workers.other.forget(home(1), "two")
    assert workers.one.last(home(1)) is None


def test_nobody_is_taken_for_another_and_all_that_are_remembered_are_counted() -> None:
    workers = Workers()
    put = {number: NAMES[number % 3] for number in range(2 * HOMES)}
    for number, name in put.items():
        workers.one.put(home(number), name)
    found = {number: workers.one.last(home(number)) for number in put}
    kept = [number for number, name in found.items() if name is not None]
    assert all(found[number] == put[number] for number in kept), "another one in its place is no answer"
    assert len(kept) > HOMES / 2
    assert sum(workers.one.counts.values()) == sum(workers.other.counts.values()) == len(kept)


def test_what_others_add_is_counted_after_a_while_and_ones_own_at_once() -> None:
    workers = Workers()
    assert workers.one.counts == {}
    workers.one.put(home(1), "two")
    workers.other.put(home(2), "two")
    assert workers.one.counts == {"two": 1}
    workers.one.put(home(1), "three")
    assert (workers.one.counts["two"], workers.one.counts["three"]) == (0, 1)
    workers.clock.now += RECOUNTED
    assert workers.one.counts == {"two": 1, "three": 1}
