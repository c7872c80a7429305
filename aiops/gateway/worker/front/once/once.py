"""Of the requests of one key with the same ``Idempotency-Key`` one is answered by a model, and charged; the others
wait for its answer and are given the same.

In this worker they find each other in memory, elsewhere through the accountant. A first one that failed, or whose
process died, counts as never sent: the next one really runs. While the accountant is away each worker knows its own.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from aiops.gateway.shared.accounting import Begin, Begun, Finish, First
from aiops.gateway.worker.accountant import Away
from aiops.gateway.worker.front.asgi import Message, Receive, Scope, Send, header
from aiops.gateway.worker.front.beyond import id_of
from aiops.gateway.worker.front.once.recording import REPLAY, Answer, Recording
from aiops.state.rules import Refusal
from aiops.state.usage.record import Outcome

LONGEST_KEY = 255  # characters
KEPT_SECONDS = 86_400.0  # an answer
LEASE_SECONDS = 30.0  # that a first one is waited for without a sign of life
SIGN_SECONDS = 10.0
LOOK_FIRST, LOOK_MOST = 0.1, 1.0  # between two looks at a first one that is elsewhere
TOO_LARGE, UNAVAILABLE = b"too-large", b"unavailable"

Run = Callable[[str, Receive, Send], Awaitable[Outcome | None]]
"""Has a request answered that has this id. None: it was refused, and its client told so."""

ANOTHER = Refusal(
    status=422,
    kind="invalid_request_error",
    param="Idempotency-Key",
    code="idempotency_key_reused",
    message="This Idempotency-Key was sent before, with another request. A retry has the same path and body; another "
    "request needs a key of its own.",
    final=True,
)
TOO_LONG = Refusal(
    status=400,
    kind="invalid_request_error",
    param="Idempotency-Key",
    code="400",
    message=f"The Idempotency-Key is longer than {LONGEST_KEY} characters. A random UUID is long enough.",
    final=True,
)


class Keeper(Protocol):
    """The accountant. Each raises Away."""

    async def begin(self, question: Begin) -> Begun: ...

    async def finish(self, question: Finish) -> None: ...

    async def abandon(self, first: First) -> None: ...

    async def renew(self, firsts: Sequence[First], seconds: float) -> None: ...


@dataclass(eq=False)
class _Running:
    """``over``: its answer, or None when there is none to be given again; ``kept``: that it is too large then.
    ``mine``: it runs here, and the accountant knows."""

    first: First
    fingerprint: str
    over: asyncio.Future[Answer | None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    too_large: bool = False
    mine: bool = False


class Once:
    """One per worker. ``say`` writes a line for the operator."""

    def __init__(self, keeper: Keeper, say: Callable[[str], None]) -> None:
        self.replayed = 0
        self._keeper = keeper
        self._say = say
        self._running: dict[tuple[str, str], _Running] = {}
        self._tasks: set[asyncio.Task[object]] = set()

    async def answer(
        self, key: str, name: str, scope: Scope, body: bytes, receive: Receive, send: Send, run: Run
    ) -> Refusal | None:
        """``key``: the id of whose request it is; ``name``: the ``Idempotency-Key``. ``receive`` has given its body."""
        if len(name) > LONGEST_KEY:
            return TOO_LONG
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            return await self._answer(First(key, name, id_of(scope)), fingerprint(scope, body), receive, send, run)
        finally:
            self._tasks.discard(task)

    async def keep(self) -> None:
        """Say that those that run here do, until cancelled."""
        while True:
            await asyncio.sleep(SIGN_SECONDS)
            mine = [each.first for each in self._running.values() if each.mine]
            if mine:
                with suppress(Away):
                    await self._keeper.renew(mine, LEASE_SECONDS)

    async def leave(self, seconds: float) -> None:
        """Let those end whose clients have left."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    # --- one request ------------------------------------------------------------------------------------------

    async def _answer(self, first: First, fingerprint: str, receive: Receive, send: Send, run: Run) -> Refusal | None:
        place = first.key, first.idempotency_key
        waits = _Client(receive)
        try:
            while (running := self._running.get(place)) is not None:
                if running.fingerprint != fingerprint:
                    return ANOTHER
                if not await waits.for_(running.over):
                    return None
                answer = running.over.result()
                if answer is not None:
                    await self._again(answer, send)
                    return None
                if running.too_large:
                    await run(first.request, *_through(waits.receive, send, TOO_LARGE))
                    return None
            running = self._running[place] = _Running(first, fingerprint)
            try:
                return await self._lead(running, waits, send, run)
            finally:
                if not running.over.done():
                    running.over.set_result(None)
                del self._running[place]
        finally:
            waits.close()

    async def _lead(self, running: _Running, waits: _Client, send: Send, run: Run) -> Refusal | None:
        """For all of this worker: find the first one elsewhere, or be it."""
        first, wait, says = running.first, LOOK_FIRST, b""
        try:
            while (found := await self._begin(running)) is not None:
                if found.fingerprint != running.fingerprint:
                    return ANOTHER
                if found.status is not None and found.answer is not None:
                    answer = Answer.of(found.status, found.answer)
                    running.over.set_result(answer)
                    await self._again(answer, send)
                    return None
                if found.status is not None:
                    running.too_large = True
                    running.over.set_result(None)
                    await run(first.request, *_through(waits.receive, send, TOO_LARGE))
                    return None
                if not await waits.for_(asyncio.ensure_future(asyncio.sleep(wait))):
                    return None
                wait = min(2 * wait, LOOK_MOST)
            running.mine = True
        except Away as away:
            self._say(f"a request with an Idempotency-Key is not kept for a retry: {away}")
            says = UNAVAILABLE
        recording = Recording(waits.receive, send, says)
        well = False
        try:
            outcome = await run(first.request, recording.receive, recording.send)
            well = outcome in ("answered", "cached") and recording.well
        finally:
            # The task may be cancelled meanwhile; whoever waits is told all the same.
            await asyncio.shield(asyncio.ensure_future(self._over(running, recording if well else None)))
        return None

    async def _begin(self, running: _Running) -> Begun | None:
        """The first one when it is another."""
        first = running.first
        found = await self._keeper.begin(
            Begin(first.key, first.idempotency_key, first.request, running.fingerprint, LEASE_SECONDS)
        )
        return found if found.request not in ("", first.request) else None

    async def _over(self, running: _Running, recording: Recording | None) -> None:
        first, mine = running.first, running.mine
        answer = recording.answer() if recording is not None else None
        running.too_large = recording is not None and answer is None
        if recording is not None and not running.over.done():
            running.over.set_result(answer)
        if not mine:
            return
        try:
            if recording is None:
                await self._keeper.abandon(first)
            else:
                status = answer.status if answer is not None else 200
                plain = answer.plain() if answer is not None else None
                kept = Finish(first.key, first.idempotency_key, first.request, status, KEPT_SECONDS, plain)
                await self._keeper.finish(kept)
        except Away as away:
            self._say(f"an answer is not kept for a retry: {away}")
        finally:
            running.mine = False

    async def _again(self, answer: Answer, send: Send) -> None:
        self.replayed += 1
        await answer.send(send, [(REPLAY, b"true")])


class _Client:
    """Who waits, and may leave meanwhile: the next message is taken once, by whoever wants it first."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._next: asyncio.Task[Message] | None = None

    async def for_(self, what: asyncio.Future[object] | asyncio.Future[Answer | None] | asyncio.Task[None]) -> bool:
        """False: it has left."""
        if self._next is None:
            self._next = asyncio.ensure_future(self._hear())
        await asyncio.wait((what, self._next), return_when=asyncio.FIRST_COMPLETED)
        return what.done()

    async def receive(self) -> Message:
        if self._next is None:
            return await self._receive()
        return await asyncio.shield(self._next)

    def close(self) -> None:
        if self._next is not None:
            self._next.cancel()

    async def _hear(self) -> Message:
        return await self._receive()


def _through(receive: Receive, send: Send, says: bytes) -> tuple[Receive, Send]:
    """Not kept, and its answer says why."""
    recording = Recording(receive, send, says)
    recording.too_large.set()
    return recording.receive, recording.send


def fingerprint(scope: Scope, body: bytes) -> str:
    """Of what is asked. The boundary of a form is drawn by lot each time, and means nothing."""
    kind = header(scope, b"content-type")
    before, mark, boundary = kind.partition(b"boundary=")
    if mark and (boundary := boundary.split(b";", 1)[0].strip(b'" ')):
        kind, body = before, body.replace(boundary, b"")
    digest = hashlib.sha256()
    for part in (scope["path"].encode(), scope.get("query_string", b""), kind, body):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
