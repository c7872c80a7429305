"""What a worker knows of its providers, and that nothing it counts outlives a request."""

from __future__ import annotations

import os

import pytest

from aiops.gateway.shared.sightings import FAILED_SECONDS, MEASURED_SECONDS
from aiops.gateway.worker.board import REASONS, WARM_SECONDS, Board
from aiops.gateway.worker.call import Call, State
from aiops.gateway.worker.introspect import describe
from aiops.gateway.worker.minutes import MOST_NAMES, OTHERS
from aiops.gateway.worker.slots import Slots
from aiops.spec.choosing.rules import ProviderFacts, RoutingTable, Special
from tests.unit.gateway.clock import Clock

PROVIDERS = {"a": ProviderFacts(4, True, "http://a/health"), "b": ProviderFacts(2, False)}


def table(**special: float) -> RoutingTable:
    return RoutingTable(providers=PROVIDERS, special=Special(**special))  # type: ignore[arg-type]


class Desk:
    """A board with a clock that only moves when told to."""

    def __init__(self, slots: Slots | None = None, worker: int = 0, **special: float) -> None:
        self.clock = Clock()
        self.board = Board(table(**special), slots or Slots(1, 2), worker, self.clock)

    def call(self, name: str = "m") -> Call:
        made = Call()
        made.name = name
        return made

    def answered(self, provider: str = "a", seconds: float = 0.0, name: str = "m") -> None:
        call = self.call(name)
        self.board.begin(call, f"d-{provider}", provider)
        self.clock.now += seconds
        self.board.answered(call)
        self.board.over(call)

    def failed(self, provider: str = "a", status: int | None = 500) -> None:
        call = self.call()
        self.board.begin(call, f"d-{provider}", provider)
        self.board.failed(call, status, f"HTTP {status}")
        self.board.over(call)

    def errors(self, provider: str) -> int:
        return self.board.errors.get(provider, 0)


@pytest.fixture
def desk() -> Desk:
    return Desk()


# --- in flight ----------------------------------------------------------------------------------------------------


def test_a_request_is_in_flight_until_it_is_over(desk: Desk) -> None:
    call = desk.call()
    desk.board.begin(call, "d-a", "a")
    assert desk.board.in_flight("a") == 1
    desk.board.answered(call)
    assert desk.board.in_flight("a") == 1
    desk.board.over(call)
    assert desk.board.in_flight("a") == 0


def test_a_fallback_moves_the_request_to_the_next_provider(desk: Desk) -> None:
    call = desk.call()
    desk.board.begin(call, "d-a", "a")
    desk.board.failed(call, 500, "HTTP 500")
    assert (desk.board.in_flight("a"), desk.board.in_flight("b")) == (0, 0)
    desk.board.begin(call, "d-b", "b")
    assert (desk.board.in_flight("a"), desk.board.in_flight("b")) == (0, 1)
    desk.board.over(call)
    assert (desk.board.in_flight("a"), desk.board.in_flight("b")) == (0, 0)


def test_a_client_that_leaves_before_the_answer_leaves_nothing_behind(desk: Desk) -> None:
    call = desk.call()
    desk.board.begin(call, "d-a", "a")
    desk.board.over(call)
    assert desk.board.in_flight("a") == 0
    assert desk.board.request_count("m") == 1
    assert desk.errors("a") == 0
    assert describe(desk.board)["models"] == []


@pytest.mark.parametrize("again", ["begin", "failed", "over", "answered"])
def test_what_is_told_twice_or_too_late_is_counted_once(desk: Desk, again: str) -> None:
    call = desk.call()
    desk.board.begin(call, "d-a", "a")
    desk.board.begin(call, "d-a", "a")  # LiteLLM's wrapper in a wrapper
    desk.board.failed(call, 500, "HTTP 500")
    desk.board.failed(call, 500, "HTTP 500")
    desk.board.over(call)
    late = {
        "begin": lambda: desk.board.begin(call, "d-a", "a"),
        "failed": lambda: desk.board.failed(call, 500, ""),
        "over": lambda: desk.board.over(call),
        "answered": lambda: desk.board.answered(call),
    }
    if again != "over":
        late[again]()
    assert desk.board.in_flight("a") == 0
    assert desk.errors("a") == 1
    assert call.state is State.OVER


def test_a_stream_that_is_taken_over_by_another_counts_against_the_first(desk: Desk) -> None:
    call = desk.call()
    desk.board.begin(call, "d-a", "a")
    desk.board.begin(call, "d-b", "b")
    desk.board.answered(call)
    desk.board.over(call)
    assert desk.errors("a") == 1
    assert (desk.board.in_flight("a"), desk.board.in_flight("b")) == (0, 0)
    assert describe(desk.board)["fallbacks"] == [
        {"model": "m", "from": "a", "to": "b", "failure": "broke off", "taken": 1}
    ]


def test_requests_of_one_name_are_counted_while_they_are_answered(desk: Desk) -> None:
    first, second = desk.call(), desk.call()
    desk.board.begin(first, "d-a", "a")
    desk.board.begin(second, "d-b", "b")
    assert desk.board.request_count("m") == 3  # the one that asks included
    desk.board.over(first)
    desk.board.over(second)
    assert desk.board.request_count("m") == 1


# --- several workers ----------------------------------------------------------------------------------------------


def test_requests_in_flight_are_counted_by_deployment_too() -> None:
    desk = Desk()
    call = desk.call()
    desk.board.begin(call, "d-a", "a")
    assert (desk.board.asked("d-a"), desk.board.asked("d-b")) == (1, 0)
    desk.board.failed(call, 500, "HTTP 500")
    desk.board.begin(call, "d-b", "a")
    assert (desk.board.asked("d-a"), desk.board.asked("d-b")) == (0, 1)
    desk.board.over(call)
    assert (desk.board.asked("d-a"), desk.board.asked("d-b")) == (0, 0)


def test_every_worker_sees_what_the_others_have_in_flight() -> None:
    slots = Slots(2, 2)
    one, two = Desk(slots, 0), Desk(slots, 1)
    one.board.begin(one.call(), "d-a", "a")
    two.board.begin(two.call(), "d-a", "a")
    assert one.board.in_flight("a") == two.board.in_flight("a") == 2


def test_what_a_process_writes_another_reads() -> None:
    slots = Slots(2, 2)
    desk = Desk(slots, 0)
    pid = os.fork()
    if pid == 0:
        other = Desk(slots, 1)
        other.board.begin(other.call(), "d-b", "b")
        os._exit(0)
    os.waitpid(pid, 0)
    assert desk.board.in_flight("b") == 1


def test_a_worker_that_died_has_nothing_in_flight() -> None:
    slots = Slots(2, 2)
    one, two = Desk(slots, 0), Desk(slots, 1)
    two.board.begin(two.call(), "d-a", "a")
    slots.clear(1)
    assert one.board.in_flight("a") == 0
    two.board.begin(two.call(), "d-a", "a")
    Desk(slots, 1)  # the place is taken again
    assert one.board.in_flight("a") == 0


def test_a_provider_that_limits_one_worker_is_avoided_by_all() -> None:
    slots = Slots(2, 2)
    one, two = Desk(slots, 0, rate_limited=30.0), Desk(slots, 1, rate_limited=30.0)
    one.failed("a", 429)
    assert two.board.avoided("a") == REASONS[1]
    assert two.board.avoided("b") is None


# --- avoided ------------------------------------------------------------------------------------------------------


def test_a_provider_that_limits_is_avoided_for_a_while() -> None:
    desk = Desk(rate_limited=30.0)
    desk.failed("a", 429)
    assert desk.board.avoided("a") == REASONS[1]
    assert desk.errors("a") == 0
    desk.clock.now += 30.1
    assert desk.board.avoided("a") is None


def test_nobody_is_avoided_unless_it_is_configured(desk: Desk) -> None:
    for _ in range(20):
        desk.failed("a", 429)
        desk.failed("a", 500)
    assert desk.board.avoided("a") is None


def test_only_errors_in_a_row_lead_to_a_cooldown() -> None:
    desk = Desk(error_threshold=3, cooldown=60.0)
    for _ in range(5):
        desk.failed("a")
        desk.failed("a", None)
        desk.answered("a")
    assert desk.board.avoided("a") is None
    for _ in range(3):
        desk.failed("a")
    assert desk.board.avoided("a") == REASONS[2]
    assert desk.board.avoided_for("a") == 60.0


@pytest.mark.parametrize("status", [400, 413, 422, 499])
def test_a_mistake_of_the_caller_is_not_held_against_the_provider(status: int) -> None:
    desk = Desk(error_threshold=1)
    desk.failed("a", status)
    assert desk.board.avoided("a") is None
    assert desk.board.success_rate("d-a") == 1.0


@pytest.mark.parametrize(("failure", "held"), [("timed out", False), ("broke off", False), ("no connection", True)])
def test_a_client_that_waits_too_short_a_time_has_learned_nothing_of_the_provider(failure: str, held: bool) -> None:
    desk = Desk(error_threshold=1)
    call = desk.call()
    desk.board.begin(call, "d-a", "a")
    call.impatient = True
    desk.board.failed(call, None, failure)
    desk.board.over(call)
    assert (desk.errors("a"), desk.board.avoided("a") is not None) == (int(held), held)
    assert desk.board.in_flight("a") == 0


def test_a_provider_that_breaks_every_stream_ends_up_avoided() -> None:
    desk = Desk(error_threshold=3)
    for _ in range(3):
        call = desk.call()
        desk.board.begin(call, "d-a", "a")
        desk.board.answered(call)
        desk.board.failed(call, None, "broke off")
        desk.board.over(call)
    assert desk.board.avoided("a") == REASONS[2]


# --- speed, success, tokens, warmth -------------------------------------------------------------------------------


def test_latency_is_smoothed_and_forgotten(desk: Desk) -> None:
    for seconds in (9.0, 1.0):  # a slow start
        desk.answered("a", seconds)
        assert desk.board.latency("d-a") is None
    desk.answered("a", 1.5)
    assert desk.board.latency("d-a") == 1.0
    desk.answered("a", 2.0)
    assert desk.board.latency("d-a") == pytest.approx(1.2)
    desk.clock.now += MEASURED_SECONDS
    assert desk.board.latency("d-a") is None
    desk.answered("a", 5.0)
    assert desk.board.latency("d-a") is None  # measured afresh


def test_a_failure_makes_a_deployment_the_slowest_for_a_while(desk: Desk) -> None:
    for _ in range(3):
        desk.answered("a", 1.0)
    desk.failed("a")
    assert desk.board.latency("d-a") == float("inf")
    desk.clock.now += FAILED_SECONDS
    assert desk.board.latency("d-a") == 1.0


def test_the_success_rate_is_of_the_last_minutes(desk: Desk) -> None:
    desk.failed("a")
    desk.answered("a")
    assert desk.board.success_rate("d-a") == 0.5
    desk.clock.now += 301
    assert desk.board.success_rate("d-a") == 1.0


def test_an_outage_outweighs_the_successes_before_it(desk: Desk) -> None:
    for _ in range(100):
        desk.answered("a")
    for _ in range(15):
        desk.failed("a")
    assert desk.board.success_rate("d-a") == 0.25


def test_tokens_are_those_of_this_minute(desk: Desk) -> None:
    desk.board.used("d-a", 30)
    desk.board.used("d-a", 12)
    assert desk.board.tokens_this_minute("d-a") == 42
    desk.clock.now += 60
    assert desk.board.tokens_this_minute("d-a") == 0


def test_a_provider_is_warm_when_it_answered_lately_or_is_healthy() -> None:
    desk = Desk(warm_check=0.5)
    assert not desk.board.warm("a")
    assert desk.board.warm("b")  # nothing to ask it at
    desk.board.healthy("a", True)
    assert desk.board.warm("a")
    desk.board.healthy("a", False)
    desk.answered("a")
    assert desk.board.warm("a")
    desk.clock.now += WARM_SECONDS
    assert not desk.board.warm("a")


# --- what is shown ------------------------------------------------------------------------------------------------


def test_names_without_end_do_not_grow_the_board_without_end(desk: Desk) -> None:
    for number in range(MOST_NAMES + 500):
        desk.answered("a", name=f"unknown-{number}")
    models = {entry["model"]: entry["answered"] for entry in describe(desk.board)["models"]}
    assert len(models) == MOST_NAMES + 1
    assert models[OTHERS] == 500
    assert desk.board._by_name == {}


def test_what_is_shown_is_of_the_last_minutes(desk: Desk) -> None:
    desk.answered("a")
    shown = describe(desk.board)
    assert [(entry["model"], entry["provider"], entry["answered"]) for entry in shown["models"]] == [("m", "a", 1)]
    desk.clock.now += 301
    assert describe(desk.board)["models"] == []


def test_a_cooldown_is_shown_with_its_reason_and_its_end() -> None:
    desk = Desk(rate_limited=30.0)
    desk.failed("a", 429)
    desk.clock.now += 10
    assert describe(desk.board)["providers"][0] == {
        "provider": "a",
        "in_flight": 0,
        "parallel": 4,
        "errors_in_a_row": 0,
        "failed_ago": None,
        "warm": True,
        "avoided": {"reason": REASONS[1], "seconds": 20.0},
        "says": None,
    }


def test_probes_of_aiops_are_no_traffic(desk: Desk) -> None:
    call = Call(private=True)
    call.name = "m"
    desk.board.begin(call, "d-a", "a")
    assert desk.board.in_flight("a") == 1
    desk.board.answered(call)
    desk.board.over(call)
    assert describe(desk.board)["models"] == []
