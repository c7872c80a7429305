"""One provider is asked once, and its answer judged."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, replace
from functools import partial

import orjson

from aiops.gateway.worker import probing
from aiops.gateway.worker.call import Call
from aiops.gateway.worker.dispatch import Dispatch
from aiops.gateway.worker.front import let_in
from aiops.gateway.worker.front.asgi import Scope, Send
from aiops.gateway.worker.front.asked import Asked
from aiops.gateway.worker.lanes.direct import answer, body, failed, packing, unstreamed
from aiops.gateway.worker.lanes.direct.answer import Stream, Whole
from aiops.gateway.worker.lanes.direct.asking import Asking
from aiops.gateway.worker.lanes.direct.failed import Failed
from aiops.gateway.worker.lanes.upstream.answer import Answer
from aiops.gateway.worker.lanes.upstream.ask import Ask
from aiops.gateway.worker.lanes.upstream.client import Upstream
from aiops.gateway.worker.lanes.upstream.failed import UpstreamError
from aiops.gateway.worker.limits import Full, Limits
from aiops.gateway.worker.queue import TurnedAway
from aiops.spec.choosing.rules import Strategy

log = logging.getLogger("aiops.lanes")
SILENT_SECONDS = 10.0
SSE, JSON = b"text/event-stream", b"application/json"
OF_SOUND = ("audio/speech", "audio/transcriptions", "audio/translations")
"""Whose answers may be anything but a web page."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks. ``path``: behind ``/v1/``; ``kind``: the type of its body."""

    call: Call
    asked: Asked
    path: str
    kind: bytes
    scope: Scope
    send: Send


class Attempts:
    """One per worker."""

    def __init__(self, upstream: Upstream, dispatch: Dispatch, limits: Limits | None) -> None:
        self._upstream = upstream
        self._dispatch = dispatch
        self._limits = limits
        self._said: dict[str, float] = {}
        groups = dispatch.table.groups()
        self._counts_tokens = any(group.strategy is Strategy.USAGE_BASED for group in groups)

    async def ask(self, request: Request, asking: Asking, shown: str, retries: int) -> Failed | None:
        """None: it answered, or began to. ``shown``: what the answer calls its model; ``retries``: how often the same
        one was asked before."""
        call, direct, board = request.call, asking.direct, self._dispatch.board
        refused = await self._may(call, direct.deployment, direct.provider)
        if refused is not None:
            return refused
        board.begin(call, direct.deployment, direct.provider)
        if self._counts_tokens:
            call.used = partial(board.used, direct.deployment)
        try:
            failure = await self._ask(request, asking, shown, retries)
        except UpstreamError as error:
            failure = failed.of_upstream(error, direct.provider)
            self._say(call, direct.provider, f"{failure.failure}: {error}")
        if failure is not None:
            failure = replace(failure, message=asking.shown(failure.message))
            call.used = None
            board.failed(call, failure.status, failure.failure)
            await _give_back(call)
        return failure

    def _say(self, call: Call, provider: str, what: str) -> None:
        """To the operator, whom it may tell the address; of one provider every few seconds."""
        now = time.monotonic()
        if not call.proof and now - self._said.get(provider, -SILENT_SECONDS) >= SILENT_SECONDS:
            self._said[provider] = now
            log.warning("`%s` did not answer `%s`: %s", provider, call.name[:200], what)

    async def _may(self, call: Call, deployment: str, provider: str) -> Failed | None:
        """Until there is room in the limit of the model, and a slot at the provider."""
        limited = self._limits is not None and deployment in self._limits and not call.proof
        queues = self._dispatch.board.freed is not None
        if not (limited or queues):
            return None
        given = let_in.current.get()
        try:
            if limited and self._limits is not None:
                tokens = given.tokens if given is not None else None
                held = await self._limits.take(deployment, tokens or 0)
                if held is not None and tokens is None:  # nobody says what it will have used
                    await held.settle(0)
                else:
                    call.held = held
            if queues:
                key, weight = (given.identity.id, given.identity.weight) if given is not None else ("", 1.0)
                await self._dispatch.queue.enter(call, provider, key, weight)
                call.turned_away = None
        except Full as full:
            call.full = full.wait if call.full is None else min(full.wait, call.full)
            call.refused = call.refused or str(full)
            return failed.turned_away(str(full))
        except TurnedAway as turned:
            call.turned_away = turned.wait
            call.refused = call.refused or str(turned)
            await _give_back(call)
            return failed.turned_away(str(turned))
        return None

    async def _ask(self, request: Request, asking: Asking, shown: str, retries: int) -> Failed | None:
        """Raises UpstreamError."""
        call, asked, direct = request.call, request.asked, asking.direct
        probe = probing.current.get()
        if probe is not None and _fails_on_purpose(probe, direct.deployment):
            return failed.nonsense(direct.provider, probing.MARKER)
        seconds = direct.stream_seconds if asked.stream else direct.seconds
        ask = Ask(
            url=asking.url(request.path, request.scope.get("query_string", b"")),
            headers=asking.headers_for(request.scope["headers"], request.kind),
            body=body.body(asked, asking, direct.model or call.passed or call.name, request.kind),
            connect=seconds.connect,
            first_byte=seconds.first_token,
            between=seconds.between_tokens,
        )
        stream = answer.Stream(call, self._dispatch.board, request.send, shown, direct.provider)
        try:
            if seconds.whole is None:
                async with self._upstream.ask(ask) as said:
                    found = await self._judge(said, request, direct.provider, stream, retries)
            else:
                async with asyncio.timeout(seconds.whole), self._upstream.ask(ask) as said:
                    found = await self._judge(said, request, direct.provider, stream, retries)
        except TimeoutError:
            if not stream.begun:
                return failed.too_late(direct.provider)
            await stream.break_off(failed.too_late(direct.provider))
            return None
        if not isinstance(found, Whole):
            return found
        await found.pass_on(call, self._dispatch.board, request.send, shown, retries)
        return None

    async def _judge(
        self, said: Answer, request: Request, provider: str, stream: Stream, retries: int
    ) -> Failed | Whole | None:
        """Whether it is an answer. A stream is passed on. Raises UpstreamError."""
        if not 200 <= said.status < 300:
            return failed.of_answer(said.status, said.headers, await _at_most(said, failed.LARGEST), provider)
        named = {name.lower(): value for name, value in said.headers}
        kind, packed = named.get(b"content-type", b""), named.get(b"content-encoding", b"identity").lower()
        if packed not in packing.KNOWN:
            return failed.nonsense(provider, "a coding that nobody asked for")
        if kind[: len(SSE)].lower() == SSE:
            kind = SSE + kind[len(SSE) :]  # as whoever meters it looks for it
            head = answer.head(request.call, 200, kind, retries, said.headers) + answer.OF_STREAMS
            return await stream.pass_on(packing.unpacked(said.pieces(), packed), head)
        if request.path in OF_SOUND and not kind.startswith((JSON, b"text/html")):
            head = answer.head(request.call, 200, kind, retries, said.headers)
            head += [(name, named[name]) for name in (b"content-length", b"content-encoding") if name in named]
            await stream.pass_bytes_on(said.pieces(), head)
            return None
        content = packing.whole(await said.whole(), packed)
        try:
            read = orjson.loads(content)
        except ValueError:
            return failed.nonsense(provider, "what is no JSON")
        if not isinstance(read, dict):
            return failed.nonsense(provider, "what is no JSON object")
        if read.get("error") and not read.keys() & _ANSWERS:
            return failed.in_a_stream(content, provider)
        if request.asked.stream and request.path in _STREAMED:
            content_of_stream = unstreamed.events(request.path, read)
            if content_of_stream is None:
                return failed.in_a_stream(content, provider) or failed.nonsense(provider, "no event stream")
            head = answer.head(request.call, 200, SSE, retries, said.headers) + answer.OF_STREAMS
            return await stream.pass_on(unstreamed.at_once(content_of_stream), head)
        return Whole(content, read, kind if kind.startswith(JSON) else JSON, said.headers)


_STREAMED = frozenset({*unstreamed.OBJECTS, "responses", "messages"})
"""Where there are streams. Elsewhere a client that asks for one is given what there is: nobody has failed."""
_ANSWERS = frozenset({"choices", "data", "output", "object", "results", "content", "text"})


async def _give_back(call: Call) -> None:
    held, call.held = call.held, None
    if held is not None:
        await held.void()


async def _at_most(said: Answer, size: int) -> bytes:
    """The beginning of its body."""
    pieces: list[bytes] = []
    async for piece in said.pieces():
        pieces.append(piece)
        size -= len(piece)
        if size <= 0:
            break
    return b"".join(pieces)


def _fails_on_purpose(probe: probing.Probe, deployment: str) -> bool:
    """The first one that is asked, as often as it is asked."""
    if probe.mode != probing.FAIL:
        return False
    probe.fired += 1
    if probe.fired == 1:
        probe.group = deployment
    return probe.group == deployment
