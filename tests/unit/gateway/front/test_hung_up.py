"""A client that hangs up: what was begun for it is called off, and what it used is told as far as it is known."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from aiops.gateway.worker.call import current
from aiops.gateway.worker.front import passage
from aiops.gateway.worker.front.asgi import Message
from aiops.gateway.worker.front.estimate import AnswerLengths
from aiops.gateway.worker.front.reserve import Reserve
from aiops.state.counters.meters import Settled
from aiops.state.money import nano
from aiops.state.shapes import Budget, Limits
from aiops.state.usage.record import Usage
from tests.unit.gateway.front.place import ANSWER, KEY, MASTER, Place, account, chat, identity


class Leaving:
    """A client that hangs up when ``gone`` is set."""

    def __init__(self, body: Any) -> None:
        self.gone = asyncio.Event()
        self._body = [json.dumps(body).encode()]

    async def __call__(self) -> Message:
        if self._body:
            return {"type": "http.request", "body": self._body.pop(), "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}


def hangs_up(place: Place, body: Any, *, asked: bool = True, key: str = KEY) -> tuple[Usage, bool]:
    """What the ledger is told, and whether the application was called off. ``asked``: somebody works on it."""
    called_off = False
    if not asked:
        place.app.deployment = ""

    async def test() -> None:
        client = Leaving(body)

        async def works(scope: Any, receive: Any, send: Any) -> None:
            async def say(message: Message) -> None:
                nonlocal called_off
                client.gone.set()
                try:
                    await asyncio.sleep(0.2)
                except asyncio.CancelledError:
                    called_off = True
                    raise
                await send(message)

            await place.app(scope, receive, say)

        place.front._app = works
        async with asyncio.timeout(20):
            await place.ask(receive=client, key=key)

    asyncio.run(test())
    (used,) = place.records.ended_
    return used, called_off


def test_what_was_begun_is_called_off_and_its_slot_is_free(tmp_path: Path) -> None:
    place = Place(tmp_path, identity(account(limits=Limits(parallel=1))))
    used, called_off = hangs_up(place, chat())
    assert called_off
    assert (used.outcome, used.status, used.estimated) == ("left", 0, True)
    assert (used.prompt_tokens, used.completion_tokens, used.cost) == (10, 0, 10_000_000)
    place.front._app = place.app
    assert asyncio.run(place.ask()).status == 200


def test_an_empty_prompt_was_work_too(tmp_path: Path) -> None:
    used, _ = hangs_up(Place(tmp_path, identity()), {"model": "alpha"})
    assert (used.prompt_tokens, used.cost) == (1, 1_000_000)


def test_what_nobody_had_begun_to_work_on_costs_nothing(tmp_path: Path) -> None:
    used, called_off = hangs_up(Place(tmp_path, identity()), chat(), asked=False)
    assert called_off
    assert (used.outcome, used.prompt_tokens, used.cost, used.estimated) == ("left", 0, 0, False)


@pytest.mark.parametrize(("most", "written"), [(1000, 100), (7, 7)])
def test_so_much_of_an_answer_is_paid_for_as_is_usually_written_by_then_and_never_more_than_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, written: int
) -> None:
    place = Place(tmp_path, identity())
    monkeypatch.setattr(AnswerLengths, "written", lambda self, model, seconds: 100)
    used, _ = hangs_up(place, chat(max_tokens=most))
    assert (used.prompt_tokens, used.completion_tokens) == (10, written)
    assert used.cost == 10_000_000 + written * 2_000_000


@pytest.mark.parametrize(
    ("impatient", "failure", "status", "cost"),
    [
        (True, "timed out", 408, 10_000_000 + 100 * 2_000_000),
        (False, "timed out", 408, 0),
        (True, "no connection", 500, 0),
    ],
)
def test_whose_own_time_was_up_pays_as_who_hangs_up_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, impatient: bool, failure: str, status: int, cost: int
) -> None:
    place = Place(tmp_path, identity())
    monkeypatch.setattr(AnswerLengths, "written", lambda self, model, seconds: 100)

    async def times_out(scope: Any, receive: Any, send: Any) -> None:
        async def say(message: Message) -> None:
            this = current.get()
            assert this is not None
            this.impatient = impatient
            this.fail(failure)
            await send(message)

        await place.app(scope, receive, say)

    place.front._app, place.app.status = times_out, status
    assert asyncio.run(place.ask(body=chat(max_tokens=1000))).status == status
    (used,) = place.records.ended_
    assert (used.outcome, used.status, used.cost, used.estimated) == ("failed", status, cost, cost > 0)


def test_who_is_answered_by_another_pays_for_that_answer(tmp_path: Path) -> None:
    place = Place(tmp_path, identity())

    async def falls(scope: Any, receive: Any, send: Any) -> None:
        async def say(message: Message) -> None:
            this = current.get()
            assert this is not None
            this.impatient = True
            this.fail("timed out")
            this.ask("d1", "one", 0.0)
            await send(message)

        await place.app(scope, receive, say)

    place.front._app = falls
    assert asyncio.run(place.ask(body=chat())).status == 200
    (used,) = place.records.ended_
    assert (used.prompt_tokens, used.completion_tokens, used.estimated) == (10, 5, False)


def test_how_much_is_written_by_then_is_what_the_last_answers_say() -> None:
    lengths = AnswerLengths()
    assert lengths.written("a", 10.0) == 0
    lengths.note("a", 100, 5.0)
    assert lengths.written("a", 2.0) == 40
    for _ in range(100):
        lengths.note("a", 100, 1.0)
    assert lengths.written("a", 2.0) == pytest.approx(200, rel=0.01)
    assert lengths.written("b", 2.0) == 0


def test_an_answer_that_is_fetched_later_is_not_called_off(tmp_path: Path) -> None:
    used, called_off = hangs_up(Place(tmp_path), {"model": "alpha", "input": "x", "background": True}, key=MASTER)
    assert not called_off
    assert used.prompt_tokens == 10  # as the answer says


def test_what_an_application_does_after_its_answer_is_not_called_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passage, "GRACE", 0.0)
    place = Place(tmp_path, identity())
    done = False

    async def test() -> None:
        client, answer = Leaving(chat()), place.app

        async def does_more(scope: Any, receive: Any, send: Any) -> None:
            nonlocal done
            await answer(scope, receive, send)
            client.gone.set()
            await asyncio.sleep(0.1)
            done = True

        place.front._app = does_more
        found = await place.ask(receive=client)
        assert found.json == ANSWER

    asyncio.run(test())
    assert done
    assert [used.outcome for used in place.records.ended_] == ["answered"]


def test_an_application_that_times_out_has_failed_and_nobody_has_left(tmp_path: Path) -> None:
    place = Place(tmp_path, identity())

    async def late(scope: Any, receive: Any, send: Any) -> None:
        raise TimeoutError

    place.front._app = late
    with pytest.raises(TimeoutError):
        asyncio.run(place.ask())
    assert [used.outcome for used in place.records.ended_] == ["failed"]


def test_what_is_counted_on_this_host_is_put_right_without_a_pause_in_which_it_could_be_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path, identity(account(limits=Limits(parallel=1, tpm=1000), budgets=(Budget(most=nano(5)),))))
    put_right, pauses = passage.Passage._put_right, []

    async def in_one_step(self: passage.Passage, call: Any) -> None:
        step = put_right(self, call)
        try:
            pauses.append(step.send(None))
        except StopIteration:
            return
        await put_right(self, call)

    monkeypatch.setattr(passage.Passage, "_put_right", in_one_step)
    assert asyncio.run(place.ask()).status == 200
    assert not place.reserve.waits
    assert (len(place.records.ended_), pauses) == (1, [])


def test_who_hangs_up_while_its_answer_is_put_right_splits_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Starlette calls a stream off as soon as its client has left, at whichever step it is then."""
    place = Place(tmp_path, identity(account(limits=Limits(parallel=1), budgets=(Budget(most=nano(5)),))))
    settle = place.counters.settle

    async def test() -> None:
        settling, going_on = asyncio.Event(), asyncio.Event()

        async def slowly(id: str, tokens: int, cost: int) -> Settled:
            settling.set()
            await going_on.wait()
            return await settle(id, tokens, cost)

        monkeypatch.setattr(place.counters, "settle", slowly)
        monkeypatch.setattr(Reserve, "waits", True)  # as Redis does
        request = asyncio.ensure_future(place.ask())
        async with asyncio.timeout(20):
            await settling.wait()
            request.cancel()
            await asyncio.wait([request])
            going_on.set()
            while not place.records.ended_:
                await asyncio.sleep(0)
        (sure,), (used,) = place.records.ending_, place.records.ended_
        assert used.epoch == sure.epoch, "it is known that it was settled"
        monkeypatch.setattr(place.counters, "settle", settle)
        assert (await place.ask()).status == 200, "its slot is free"

    asyncio.run(test())
