"""What one worker sees of its providers reaches every other, and the other gateways by where they meet."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aiops.gateway.accountant import sharing
from aiops.gateway.accountant.server import Peer, Server
from aiops.gateway.accountant.sharing import Sharing
from aiops.gateway.shared import accounting
from aiops.gateway.shared.accounting import Answer, Question
from aiops.gateway.shared.sightings import Avoided, Measured, Sightings, together
from aiops.gateway.worker import telling
from aiops.gateway.worker.accountant import Accountant
from aiops.gateway.worker.board import Board
from aiops.gateway.worker.call import Call
from aiops.gateway.worker.places import is_here, machine, places
from aiops.gateway.worker.slots import Slots
from aiops.gateway.worker.telling import Telling
from aiops.spec.choosing.rules import Group, Member, ProviderFacts, RoutingTable, Special, Strategy
from aiops.state.counters.meters import Unavailable
from tests.unit.gateway.clock import Clock

PLACES = {"a": "a 1111", "b": "b 2222"}
QUICK = Group("quick", "exact", Strategy.FASTEST_RESPONSE, (Member("d-a", "a", "m"), Member("d-b", "b", "m")))
TABLE = RoutingTable(
    names={"quick": QUICK},
    providers={"a": ProviderFacts(4, False), "b": ProviderFacts(4, False)},
    special=Special(rate_limited=20.0, error_threshold=2, cooldown=30.0),
)


class Desk:
    """A worker's board, on a clock of its own."""

    def __init__(self, began: float = 1000.0, its: dict[str, str] = PLACES, table: RoutingTable = TABLE) -> None:
        self.clock = Clock(began)
        self.board = Board(table, Slots(1, 2), 0, self.clock)
        self.board.elsewhere.know(its)

    def failed(self, provider: str = "a", status: int = 500) -> None:
        call = Call()
        self.board.begin(call, f"d-{provider}", provider)
        self.board.failed(call, status, "")
        self.board.over(call)

    def answered(self, provider: str = "a", seconds: float = 0.5, times: int = 1) -> None:
        for _ in range(times):
            call = Call()
            self.board.begin(call, f"d-{provider}", provider)
            self.clock.now += seconds
            self.board.answered(call)
            self.board.over(call)

    def tell(self, other: Desk, seconds: float = 0.0) -> None:
        """By way of the wire, on which it is for so long."""
        other.board.elsewhere.hear(Sightings.of(self.board.sightings().plain()).later(seconds))


# --- what a worker makes of it ----------------------------------------------------------------------------------------


def test_who_failed_one_too_often_is_avoided_by_the_other_for_as_long_as_by_the_first() -> None:
    one, other = Desk(), Desk(began=5000.0)
    other.clock.now += 60
    one.failed()
    one.tell(other)
    assert other.board.avoided("a") is None
    one.failed()
    one.tell(other, 1.0)
    assert other.board.avoided("a") == one.board.avoided("a") == "it failed too often in a row"
    assert other.board.avoided_for("a") == pytest.approx(29.0)
    assert other.board.avoided("b") is None
    other.clock.now += 29.1
    assert other.board.avoided("a") is None, "over by itself, without another word"


def test_a_provider_of_the_same_name_at_another_address_is_another_one() -> None:
    one, other = Desk(), Desk(its={"a": "a 9999", "b": "b 2222"})
    for _ in range(2):
        one.failed("a")
    one.failed("b", 429)
    other.clock.now += 1
    one.tell(other)
    assert other.board.avoided("a") is None
    assert other.board.avoided("b") == "it limits requests"


def test_a_generation_begins_afresh_with_who_was_avoided_before_it_came() -> None:
    one = Desk()
    for _ in range(2):
        one.failed()
    one.clock.now += 5
    new = Desk()
    one.tell(new)
    assert new.board.avoided("a") is None, "its proofs have asked it since"


def test_how_fast_a_provider_is_is_known_of_whoever_measured_last() -> None:
    one, other = Desk(), Desk()
    one.answered(times=3)
    assert other.board.latency("d-a") is None
    one.tell(other)
    assert other.board.latency("d-a") == pytest.approx(0.5)
    other.clock.now += 10
    other.answered(seconds=0.1, times=3)
    assert other.board.latency("d-a") == pytest.approx(0.1)
    one.clock.now += 10.3
    other.tell(one)
    assert one.board.latency("d-a") == pytest.approx(0.1), "the later one"
    other.clock.now += 400
    assert other.board.latency("d-a") is None, "nobody has asked it for a while"


def test_who_failed_elsewhere_counts_as_slowest_until_somebody_was_answered() -> None:
    one, other = Desk(), Desk()
    other.answered(times=3)
    one.clock.now += 10
    one.failed()
    one.clock.now += 1
    other.clock.now += 11
    one.tell(other)
    assert other.board.latency("d-a") == math.inf
    other.answered(seconds=0.2)
    assert other.board.latency("d-a") == pytest.approx(0.44)


def test_nothing_is_told_where_nobody_is_chosen_by_it() -> None:
    plain = Desk(table=RoutingTable(providers=TABLE.providers))
    said = list[accounting.Seen]()
    asyncio.run(Telling(plain.board, PLACES, said.append).go_on())
    assert said == []


# --- what is said -----------------------------------------------------------------------------------------------------


def test_durations_go_on_while_they_are_under_way() -> None:
    said = Sightings({"a": Avoided(1, 10, 2)}, {"d": Measured(0.3, 290)}, {"d": 50})
    assert said.later(5) == Sightings({"a": Avoided(1, 5, 7)}, {"d": Measured(0.3, 295)}, {"d": 55})
    assert said.later(11) == Sightings({}, {}, {})
    assert Sightings.of(said.plain()) == said


def test_of_two_that_say_something_of_the_same_the_later_one_counts_in_whatever_order() -> None:
    one = Sightings({"a": Avoided(1, 10, 2)}, {"d": Measured(0.3, 9)}, {"d": 50})
    two = Sightings({"a": Avoided(2, 20, 3)}, {"d": Measured(0.4, 4)}, {"e": 1})
    both = Sightings({"a": Avoided(2, 20, 3)}, {"d": Measured(0.4, 4)}, {"d": 50, "e": 1})
    assert together([one, two]) == together([two, one]) == together([one, two, one]) == both


@pytest.mark.parametrize("bad", [{}, {"avoided": 1}, {"avoided": {"a": [1]}, "measured": {}, "failed": {}}, []])
def test_what_is_no_sighting_is_refused(bad: Any) -> None:
    with pytest.raises(ValueError):
        Sightings.of(bad)


# --- which provider it is ---------------------------------------------------------------------------------------------


def model(provider: str, base: str | None) -> dict[str, Any]:
    return {
        "model_name": "m",
        "litellm_params": {"model": "openai/m", "api_base": base},
        "model_info": {"provider": provider},
    }


def test_an_address_that_only_holds_here_is_told_from_that_of_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    models = [model("mine", "http://127.0.0.1:1/v1"), model("lan", "http://10.0.0.7:1/v1"), model("cloud", None)]
    here = places(models)
    assert places(models) == here
    monkeypatch.setattr("aiops.gateway.worker.places.machine", lambda: "another one")
    there = places(models)
    assert {name for name in here if here[name] == there[name]} == {"lan", "cloud"}
    assert places([model("lan", "http://10.0.0.8:1/v1")])["lan"] != here["lan"]
    assert machine() == machine()


@pytest.mark.parametrize(
    ("where", "here"),
    [("localhost:1", True), ("[::1]:1", True), ("ollama:11434", True), ("host.docker.internal:1", True), ("", False),
     ("10.0.0.7:1", False), ("gpu.example.com", False), ("[fd00::7]:1", False)],
)  # fmt: skip
def test_where_an_address_holds(where: str, here: bool) -> None:
    assert is_here(where) == here


# --- how it gets there ------------------------------------------------------------------------------------------------


class Meeting:
    """Where gateways meet: a Redis that can go away."""

    def __init__(self) -> None:
        self.said: dict[str, bytes] = {}
        self.away = False

    async def exchange(self, replica: str, said: bytes, seconds: float) -> list[tuple[float, bytes]]:
        if self.away:
            raise Unavailable("away")
        self.said[replica] = said
        return [(0.0, text) for other, text in [*self.said.items(), ("broken", b"[]")] if other != replica]


@asynccontextmanager
async def gateway(run: Path, name: str, meeting: Meeting, workers: int) -> AsyncIterator[list[Board]]:
    """One of some workers, each with its board, and a real accountant's socket between them."""
    run.mkdir()
    shares = Sharing(name, meeting)

    async def reply(peer: Peer, question: Question) -> Answer | None:
        if isinstance(question, accounting.Hello):
            peer.hello = question
            return accounting.Welcome(name, 1, shares=True)
        assert isinstance(question, accounting.Seen)
        shares.seen(peer, Sightings.of(question.sightings))
        return None

    server = Server(run, reply, lambda: None)
    await server.listen()
    tasks = [asyncio.create_task(shares.go_on(lambda: server.workers))]
    boards = []
    for _ in range(workers):
        board = Board(TABLE, Slots(1, 2))
        client = Accountant(run, 1, "http://127.0.0.1:1", lambda _: None)
        tells = Telling(board, PLACES, client.tell)
        client.elsewhere = tells.hear
        tasks += [asyncio.create_task(client.stay_connected()), asyncio.create_task(tells.go_on())]
        boards.append(board)
    try:
        yield boards
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.close()


async def until(holds: Any) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


def cool(board: Board, provider: str) -> None:
    call = Call()
    board.begin(call, f"d-{provider}", provider)
    board.failed(call, 429, "")


def test_every_worker_of_every_gateway_avoids_whom_one_found_out(tmp_path: Path) -> None:
    """And without where they meet, those of the same gateway; and all again, when it is back."""
    meeting = Meeting()

    async def act() -> None:
        async with (
            gateway(tmp_path / "one", "one", meeting, 2) as (first, second),
            gateway(tmp_path / "other", "other", meeting, 1) as (far,),
        ):
            cool(first, "a")
            await until(lambda: second.avoided("a") and far.avoided("a"))
            meeting.away = True
            cool(first, "b")
            await until(lambda: second.avoided("b"))
            await asyncio.sleep(2 * sharing.EVERY_SECONDS)
            assert far.avoided("b") is None
            meeting.away = False
            await until(lambda: far.avoided("b"))

    asyncio.run(act())


def test_an_accountant_of_before_is_told_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "EVERY_SECONDS", 0.01)
    heard = list[Question]()

    async def reply(peer: Peer, question: Question) -> Answer | None:
        heard.append(question)
        return accounting.Welcome("here", 1) if isinstance(question, accounting.Hello) else None

    async def act() -> None:
        server = Server(tmp_path, reply, lambda: None)
        await server.listen()
        client = Accountant(tmp_path, 1, "http://127.0.0.1:1", lambda _: None)
        connected = asyncio.create_task(client.stay_connected())
        tells = asyncio.create_task(Telling(Board(TABLE, Slots(1, 2)), PLACES, client.tell).go_on())
        await asyncio.sleep(0.3)
        for task in (connected, tells):
            task.cancel()
        await asyncio.gather(connected, tells, return_exceptions=True)
        await server.close()

    asyncio.run(act())
    assert [type(each) for each in heard] == [accounting.Hello]
