"""A call goes from state to state in one order; whatever it is told out of turn changes nothing and is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from aiops.gateway.worker import call
from aiops.gateway.worker.call import Call, State

TELL: dict[str, Callable[[Call], object]] = {
    "ask": lambda made: made.ask("d-b", "b", 2.0),
    "answer": lambda made: made.answer(),
    "fail": lambda made: made.fail("HTTP 500"),
    "end": lambda made: made.end(),
}
# state -> what it may be told -> the state that leads to
MOVES = {
    State.IDLE: {"ask": State.WORKING, "end": State.OVER},
    State.WORKING: {"answer": State.ANSWERING, "fail": State.FAILED, "end": State.OVER},
    State.ANSWERING: {"fail": State.FAILED, "end": State.OVER},
    State.FAILED: {"ask": State.WORKING, "end": State.OVER},
    State.OVER: {},
}
WANTS = {"ask": State.WORKING, "answer": State.ANSWERING, "fail": State.FAILED, "end": State.OVER}


@pytest.fixture(autouse=True)
def counted() -> Iterator[None]:
    call.out_of_turn.clear()
    yield
    call.out_of_turn.clear()


def made_in(state: State) -> Call:
    made = Call()
    if state is not State.IDLE:
        made.ask("d-a", "a", 1.0)
    if state is State.ANSWERING:
        made.answer()
    elif state is State.FAILED:
        made.fail("broke off")
    elif state is State.OVER:
        made.end()
    assert made.state is state
    return made


def facts(made: Call) -> dict[str, object]:
    return {name: getattr(made, name) for name in Call.__slots__}


@pytest.mark.parametrize("told", TELL)
@pytest.mark.parametrize("state", State)
def test_each_state_may_be_told_what_follows_it_and_nothing_else(state: State, told: str) -> None:
    made = made_in(state)
    before = facts(made)
    happened = TELL[told](made)
    if told in MOVES[state]:
        assert happened
        assert made.state is MOVES[state][told]
        assert not call.out_of_turn
    else:
        assert not happened
        assert facts(made) == before, "it is harmless"
        assert dict(call.out_of_turn) == ({} if WANTS[told] is state else {(state, WANTS[told]): 1})


def test_the_second_that_is_asked_is_a_fallback_and_the_same_again_is_not() -> None:
    made = made_in(State.FAILED)
    made.ask("d-a", "a", 5.0)
    assert (made.attempts, made.fallbacks, made.fell_from, made.began) == (2, 0, "", 5.0)
    made.fail("HTTP 500")
    made.ask("d-b", "b", 6.0)
    assert (made.attempts, made.fallbacks, made.fell_from, made.failure) == (3, 1, "a", "HTTP 500")


@pytest.mark.parametrize("state", [state for state in State if state is not State.OVER])
def test_the_end_says_what_ended(state: State) -> None:
    assert made_in(state).end() is state


def test_nobody_else_can_change_the_state() -> None:
    with pytest.raises(AttributeError):
        Call().state = State.OVER  # type: ignore[misc]
