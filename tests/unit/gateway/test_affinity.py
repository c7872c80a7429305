"""Which deployment has had which prompt, as one worker remembers it."""

from __future__ import annotations

from aiops.gateway.worker.affinity import Affinity
from aiops.gateway.worker.board import Board
from aiops.gateway.worker.call import Call
from aiops.gateway.worker.homes import Homes
from aiops.gateway.worker.slots import Slots
from aiops.spec.choosing.prefix import Prefix
from aiops.spec.choosing.rules import ProviderFacts, RoutingTable


def prefix(*parts: str, home: str = "home") -> Prefix:
    return Prefix(home.encode(), tuple(part.encode() for part in parts))


def made(most: int = 100) -> Affinity:
    return Affinity(Homes(Slots(1, 1).homes, ("one", "two"), lambda: 0.0), most)


def test_the_longest_part_that_each_has_had_is_known() -> None:
    affinity = made()
    affinity.learn(prefix("a", "b"), "one")
    affinity.learn(prefix("a", "x"), "two")
    assert affinity.known(prefix("a", "b", "c")).had == {"one": 2, "two": 1}
    assert affinity.known(prefix("z")).had == {}
    assert affinity.known(prefix()).had == {}


def test_what_was_used_the_longest_ago_is_forgotten_first() -> None:
    affinity = made(most=3)
    affinity.learn(prefix("a"), "one")
    affinity.learn(prefix("b"), "one")
    affinity.learn(prefix("a"), "two")
    affinity.learn(prefix("c", "d"), "one")
    known = {part: affinity.known(prefix(part)).had for part in "abcd"}
    assert known == {"a": {"one": 1, "two": 1}, "b": {}, "c": {"one": 1}, "d": {"one": 1}}


def test_where_a_conversation_was_last_is_told_and_forgotten_with_the_rest() -> None:
    affinity = made()
    affinity.learn(prefix(home="x"), "one")
    affinity.learn(prefix(home="y"), "one")
    affinity.learn(prefix(home="x"), "two")
    assert affinity.known(prefix(home="x")) == ({}, "two", {"one": 1, "two": 1})
    affinity.forget(prefix(home="x"), "one")  # it did not answer, which the other one then did
    assert affinity.known(prefix(home="x")).last == "two"
    affinity.forget(prefix(home="x"), "two")
    assert affinity.known(prefix(home="x")).last is None


def board() -> Board:
    return Board(RoutingTable(providers={"a": ProviderFacts(4, True)}), Slots(1, 1))


def asked(board: Board, deployment: str) -> Call:
    call = Call()
    call.prefix = prefix("a")
    board.begin(call, deployment, "a")
    return call


def test_who_is_asked_has_it_and_who_fails_has_it_no_more() -> None:
    known = board()
    call = asked(known, "one")
    assert known.known(prefix("a")).had == {"one": 1}
    known.failed(call, 500, "HTTP 500")
    assert known.known(prefix("a")).had == {}
    known.begin(call, "two", "a")
    known.answered(call)
    known.over(call)
    assert known.known(prefix("a")).had == {"two": 1}


def test_a_mistake_of_the_caller_takes_nothing_away() -> None:
    known = board()
    known.failed(asked(known, "one"), 400, "HTTP 400")
    assert known.known(prefix("a")).had == {"one": 1}
