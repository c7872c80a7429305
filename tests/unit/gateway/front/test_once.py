"""A request that is sent again with the same Idempotency-Key: answered by a model once, charged once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

from aiops.gateway.accountant import repeats
from aiops.gateway.accountant.database import Database
from aiops.gateway.shared.accounting import Abandon, Begin, Begun, Finish, First, Renew
from aiops.gateway.worker.accountant import Away
from aiops.gateway.worker.front.once import once, recording
from aiops.state.shapes import Limits
from tests.unit.gateway.front.place import ANSWER, MASTER, Answered, Place, account, chat, identity

REPLAY = "x-aiops-idempotent-replay"
AGAIN = {"idempotency-key": "again"}


class Kept:
    """What an accountant does, on a database of its own; ``away``: nobody answers."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.away = False
        self.begun = 0
        self.renewed: list[tuple[str, float]] = []

    def _there(self) -> None:
        if self.away:
            raise Away("the accountant does not answer within 2 s")

    async def begin(self, question: Begin) -> Begun:
        self._there()
        self.begun += 1
        return await repeats.begin(self.database, question)

    async def finish(self, question: Finish) -> None:
        self._there()
        await repeats.finish(self.database, question)

    async def abandon(self, first: First) -> None:
        self._there()
        await repeats.abandon(self.database, Abandon(first))

    async def renew(self, firsts: Sequence[First], seconds: float) -> None:
        self._there()
        self.renewed += [(first.idempotency_key, seconds) for first in firsts]
        await repeats.renew(self.database, Renew(seconds, tuple(firsts)))


Test = Callable[[Kept, Callable[..., Place]], Coroutine[Any, Any, None]]


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Test], None]:
    """Runs a test with an accountant, and as many workers as it makes."""

    def run(test: Test) -> None:
        async def all_of_it() -> None:
            database = Database(tmp_path / "aiops.db", lambda store: None)
            kept, number = Kept(database), iter(range(9))
            await database.check()

            def worker(*limits: Any) -> Place:
                own = tmp_path / f"worker {next(number)}"
                own.mkdir()
                return Place(own, identity(*limits), keeper=kept)

            try:
                async with asyncio.timeout(60):  # some wait for one that may never end
                    await test(kept, worker)
            finally:
                database.close()

        asyncio.run(all_of_it())

    return run


def holds(place: Place) -> asyncio.Event:
    """Its answers wait for this."""
    release = asyncio.Event()
    place.app.before_piece = lambda number: release.wait()
    return release


def once_of(place: Place) -> once.Once:
    assert place.front._once is not None
    return place.front._once


async def called(place: Place, times: int = 1) -> None:
    async with asyncio.timeout(20):
        while len(place.app.seen) < times:
            await asyncio.sleep(0.01)


async def begun(place: Place, client: Client | None = None) -> tuple[asyncio.Event, asyncio.Task[Answered]]:
    """A first one that is answered when the event is set."""
    release = holds(place)
    first = asyncio.create_task(place.ask(headers=AGAIN, receive=client or Client()))
    await called(place)
    return release, first


class Client:
    """What its messages are received from: it sends a request, and hangs up ``when``. ``listens``: its request is read,
    and it is waited for what comes next, as long as somebody else's answer is."""

    def __init__(self, when: asyncio.Event | None = None) -> None:
        self.listens = asyncio.Event()
        self._when = when or asyncio.Event()
        self._sent = False

    async def __call__(self) -> dict[str, Any]:
        if not self._sent:
            self._sent = True
            return {"type": "http.request", "body": json.dumps(chat()).encode(), "more_body": False}
        self.listens.set()
        await self._when.wait()
        return {"type": "http.disconnect"}


async def wait(*clients: Client) -> None:
    """Until each of them waits."""
    async with asyncio.timeout(20):
        for each in clients:
            await each.listens.wait()


def is_replay(found: Answered) -> bool:
    return found.status == 200 and found.headers.get(REPLAY) == "true" and found.json == ANSWER


def test_a_retry_waits_for_the_first_one_and_gets_its_answer_and_both_are_charged_once(run: Any) -> None:
    async def test(kept: Kept, worker: Callable[..., Place]) -> None:
        place = worker(account(limits=Limits(rpm=1)))
        release, first = await begun(place)
        clients = [Client() for _ in range(3)]
        others = [asyncio.create_task(place.ask(headers=AGAIN, receive=each)) for each in clients]
        await wait(*clients)
        assert not any(other.done() for other in others)
        release.set()
        assert REPLAY not in (await first).headers
        assert all(is_replay(found) for found in await asyncio.gather(*others))
        assert is_replay(await place.ask(headers=AGAIN))
        assert len(place.app.seen) == len(place.records.ended_) == len(place.records.accepted_) == 1

    run(test)


def test_a_retry_at_another_worker_waits_for_the_first_one_too(run: Any) -> None:
    async def test(kept: Kept, worker: Callable[..., Place]) -> None:
        place, other = worker(), worker()
        release, first = await begun(place)
        retries = [asyncio.create_task(other.ask(headers=AGAIN, receive=Client())) for _ in range(2)]
        async with asyncio.timeout(20):
            while kept.begun < 4:  # the first one itself, and three looks at it
                await asyncio.sleep(0.01)
        assert not any(retry.done() for retry in retries)
        release.set()
        assert (await first).status == 200
        assert all(is_replay(found) for found in await asyncio.gather(*retries))
        assert is_replay(await worker().ask(headers=AGAIN))
        assert not other.app.seen

    run(test)


def test_another_request_under_the_same_idempotency_key_is_refused_wherever_it_comes(run: Any) -> None:
    async def test(kept: Kept, worker: Callable[..., Place]) -> None:
        place, other = worker(), worker()
        release, first = await begun(place)
        refused = [await each.ask(headers=AGAIN, body=chat(user="me")) for each in (place, other)]
        release.set()
        await first
        refused += [await each.ask(headers=AGAIN, body=chat(user="me")) for each in (place, other)]
        refused.append(await other.ask("/v1/completions", headers=AGAIN))
        for each in refused:
            assert (each.status, each.error["code"]) == (422, "idempotency_key_reused")
            assert each.headers["x-should-retry"] == "false"
        assert not other.app.seen

    run(test)


@pytest.mark.parametrize("status", [400, 429, 500, 503])
def test_a_first_one_that_failed_is_not_kept_and_the_retry_really_runs(run: Any, status: int) -> None:
    async def test(kept: Kept, worker: Callable[..., Place]) -> None:
        place, other = worker(), worker()
        place.app.status = status
        release, first = await begun(place)
        retry = asyncio.create_task(other.ask(headers=AGAIN, receive=Client()))
        release.set()
        assert (await first).status == status
        found = await retry
        assert (found.status, REPLAY in found.headers, len(other.app.seen)) == (200, False, 1)

    run(test)


def test_a_stream_that_broke_off_is_not_kept(run: Any) -> None:
    async def test(kept: Kept, worker: Callable[..., Place]) -> None:
        place = worker()
        place.app.streams(b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n', b"data: [DONE]\n\n")

        def breaks(number: int) -> None:
            if number:
                raise ConnectionResetError

        place.app.before_piece = breaks
        with pytest.raises(ConnectionResetError):
            await place.ask(headers=AGAIN)
        place.app.before_piece = lambda number: None
        assert (await place.ask(headers=AGAIN)).body.endswith(b"[DONE]\n\n")
        assert len(place.app.seen) == 2

    run(test)


def test_a_first_one_that_was_refused_is_not_kept(run: Any) -> None:
    async def test(kept: Kept, worker: Callable[..., Place]) -> None:
        place = worker(account(limits=Limits(rpm=1)))
        assert (await place.ask()).status == 200
        assert (await place.ask(headers=AGAIN)).status == 429
        other = worker()
        found = await other.ask(headers=AGAIN)
        assert (found.status, REPLAY in found.headers) == (200, False)

    run(test)


def test_a_finished_stream_is_given_again_byte_by_byte_as_a_stream(run: Any) -> None:
    async def test(kept: Kept, worker: Callable[..., Place]) -> None:
        place = worker()
        place.app.streams(b'data: {"choices":[{"delta":{"content":"hel"}}]}\n\n', b"data: [DONE]\n\n")
        first = await place.ask(headers=AGAIN, body=chat(stream=True))
        found = await worker().ask(headers=AGAIN, body=chat(stream=True))
        assert (found.body, found.headers[REPLAY]) == (first.body, "true")
        assert found.headers["content-type"].startswith("text/event-stream")
        assert "content-length" not in found.headers

    run(test)


def test_an_answer_that_is_too_large_is_not_kept_and_its_retry_says_that_it_ran(run: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(recording, "LARGEST", len(json.dumps(ANSWER)) - 1)

    async def test(kept: Kept, worker: Callable[..., Place]) -> None:
        place, other = worker(), worker()
        release, first = await begun(place)
        client = Client()
        waiting = asyncio.create_task(place.ask(headers=AGAIN, receive=client))
        await wait(client)
        release.set()
        await first
        for found in (await waiting, await other.ask(headers=AGAIN)):
            assert (found.status, found.headers[REPLAY], found.json) == (200, "too-large", ANSWER)
        assert (len(place.app.seen), len(other.app.seen)) == (2, 1)

    run(test)


def test_a_client_that_leaves_finds_the_answer_when_it_comes_again(run: Any) -> None:
    """A time-out with effect: the first time it was answered, and charged, while nobody listened any more."""

    async def test(kept: Kept, worker: Callable[..., Place]) -> None:
        place = worker()
        gone, left = asyncio.Event(), asyncio.Event()
        answer = place.app

        async def watches(scope: Any, receive: Any, send: Any) -> None:
            """As LiteLLM: ends when its client has left."""
            body = await receive()

            async def again() -> Any:
                return body

            await called_off(receive)
            await answer(scope, again, send)

        async def called_off(receive: Any) -> None:
            gone.set()
            hears = asyncio.ensure_future(receive())
            done, _ = await asyncio.wait([hears], timeout=0.2)
            if done:
                left.set()
                raise ConnectionResetError

        place.front._app = watches
        await place.ask(headers=AGAIN, receive=Client(gone))
        assert not left.is_set()
        assert [usage.outcome for usage in place.records.ended_] == ["answered"]
        assert is_replay(await worker().ask(headers=AGAIN))

    run(test)


def test_who_waits_and_leaves_is_not_waited_for(run: Any) -> None:
    async def test(kept: Kept, worker: Callable[..., Place]) -> None:
        place, other, gone = worker(), worker(), asyncio.Event()
        release, first = await begun(place)
        clients = [Client(gone), Client(gone)]
        waiting = [
            asyncio.create_task(each.ask(headers=AGAIN, receive=client))
            for each, client in zip((place, other), clients, strict=True)
        ]
        await wait(*clients)
        gone.set()
        async with asyncio.timeout(20):
            assert [found.status for found in await asyncio.gather(*waiting)] == [0, 0]
        release.set()
        assert (await first).status == 200
        assert is_replay(await other.ask(headers=AGAIN))

    run(test)


def test_requests_without_the_header_and_the_master_keys_own_are_nobodys_retry(run: Any) -> None:
    async def test(kept: Kept, worker: Callable[..., Place]) -> None:
        place = worker()
        for _ in range(2):
            await place.ask()
            await place.ask(key=MASTER, headers=AGAIN)
        assert (len(place.app.seen), kept.begun) == (4, 0)

    run(test)


def test_while_the_accountant_is_away_a_worker_knows_its_own_and_says_that_nothing_is_kept(run: Any) -> None:
    async def test(kept: Kept, worker: Callable[..., Place]) -> None:
        kept.away = True
        place = worker()
        release, first = await begun(place)
        client = Client()
        retry = asyncio.create_task(place.ask(headers=AGAIN, receive=client))
        await wait(client)
        release.set()
        assert (await first).headers[REPLAY] == "unavailable"
        assert is_replay(await retry)
        assert len(place.app.seen) == 1
        assert any("does not answer" in line for line in place.said)

    run(test)


def test_a_first_one_whose_host_is_gone_is_waited_for_until_its_lease_is_over_and_no_longer(run: Any) -> None:
    async def test(kept: Kept, worker: Callable[..., Place]) -> None:
        place = worker()
        headers = [(b"content-type", b"application/json")]
        scope = {"path": "/v1/chat/completions", "query_string": b"", "headers": headers}
        same = once.fingerprint(scope, json.dumps(chat()).encode())
        gone = First("k1", "again", "elsewhere")
        await kept.begin(Begin("k1", "again", gone.request, same, 60))
        retry = asyncio.create_task(place.ask(headers=AGAIN, receive=Client()))
        async with asyncio.timeout(20):
            while kept.begun < 3:
                await asyncio.sleep(0.01)
        assert not place.app.seen
        await kept.renew([gone], -1)
        async with asyncio.timeout(20):
            found = await retry
        assert (found.status, REPLAY in found.headers) == (200, False)

    run(test)


def test_those_that_run_give_signs_of_life_so_that_nobody_elsewhere_takes_them_for_lost(
    run: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(once, "SIGN_SECONDS", 0.01)

    async def test(kept: Kept, worker: Callable[..., Place]) -> None:
        place = worker()
        release, first = await begun(place)
        keeping = asyncio.create_task(once_of(place).keep())
        async with asyncio.timeout(20):
            while not kept.renewed:
                await asyncio.sleep(0.01)
        assert kept.renewed[0] == ("again", once.LEASE_SECONDS)
        release.set()
        await first
        keeping.cancel()

    run(test)


def test_a_worker_that_ends_waits_for_those_whose_clients_have_left(run: Any) -> None:
    async def test(kept: Kept, worker: Callable[..., Place]) -> None:
        place, gone = worker(), asyncio.Event()
        release, first = await begun(place, Client(gone))
        gone.set()
        leaving = asyncio.create_task(once_of(place).leave(20))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not leaving.done()
        release.set()
        await leaving
        assert [usage.outcome for usage in place.records.ended_] == ["answered"]
        await first

    run(test)


def test_a_form_sent_again_is_the_same_request_whatever_its_boundary(run: Any) -> None:
    def form(boundary: str, model: str = "alpha") -> tuple[bytes, dict[str, str]]:
        body = f'--{boundary}\r\ncontent-disposition: form-data; name="model"\r\n\r\n{model}\r\n--{boundary}--\r\n'
        return body.encode(), {"content-type": f"multipart/form-data; boundary={boundary}", **AGAIN}

    async def test(kept: Kept, worker: Callable[..., Place]) -> None:
        place = worker()
        statuses = []
        for body, headers in (form("aaaa"), form("bbbb"), form("aaaa", "beta")):
            statuses.append((await place.ask("/v1/audio/transcriptions", body, headers=headers)).status)
        assert statuses == [200, 200, 422]
        assert len(place.app.seen) == 1

    run(test)


def test_an_idempotency_key_without_end_is_refused(run: Any) -> None:
    async def test(kept: Kept, worker: Callable[..., Place]) -> None:
        found = await worker().ask(headers={"idempotency-key": "x" * 256})
        assert (found.status, found.error["param"]) == (400, "Idempotency-Key")

    run(test)
