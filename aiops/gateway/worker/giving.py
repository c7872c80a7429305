"""A request that needs LiteLLM, in a worker that has none: it waits until there is a full worker, and is given to it.

Given is the client's connection together with what was read of the request. The full worker answers it from the
beginning, under the same id: what was reserved for it here is reserved there, and counted once.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiops.gateway.shared.steady import LOST, Condition
from aiops.gateway.worker import connections
from aiops.gateway.worker.front.asgi import ADMIN, Application, Message, Receive, Scope, Send, TooLarge
from aiops.gateway.worker.front.beyond import GIVEN, NeedsLiteLLM
from aiops.gateway.worker.front.refusals import send_refusal
from aiops.state.rules import Refusal

PIPELINED_TICK = 0.01
WANT_AGAIN_SECONDS = 5.0
LARGEST_BODY = 512 * 1024 * 1024
LARGEST_UNKNOWN = 1024 * 1024  # of whom nothing is counted, because nobody asked whether there is a key
LARGEST_BEHIND = 64 * 1024 * 1024
# Of a request that is sent again: how its body was sent is no longer so, and it is here already.
NOT_AGAIN = frozenset({b"content-length", b"transfer-encoding", b"expect"})
_UPGRADE = b"upgrade"


@dataclass(frozen=True)
class Given:
    """``first``: the request, as bytes; ``rest``: what its client has sent behind it. ``id``: its own, if it has one
    already. ``admin``: it came by the port of the management API."""

    first: bytes
    rest: bytes = b""
    id: str = ""
    admin: bool = False


class FullWorkers:
    """Whether there are full workers: not yet, or here they are, or ``why`` there will be none for now.

    ``why`` is for the operator, it may name files; ``told`` is what clients may know of it.
    """

    def __init__(self, heirs: connections.Heirs) -> None:
        self.heirs = heirs
        self.why = self.told = ""
        self._since = 0.0
        self._changed = asyncio.Event()

    @property
    def here(self) -> bool:
        return self.heirs.any

    def say(self, why: str = "", told: str = "it cannot be started") -> None:
        """Something is otherwise from now on. ``why``: there is no LiteLLM, and none on its way."""
        self.why, self.told, self._since = why, told if why else "", time.time()
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def conditions(self) -> Mapping[str, Condition]:
        """For the readiness of a worker."""
        return {"litellm": Condition(LOST, self._since, self.why)} if self.why else {}

    async def wait(self) -> None:
        """Until they are here, or it is said why not."""
        while not self.here and not self.why:
            await self._changed.wait()


class Giving:
    """What the server of a light worker calls. ``want``: says that LiteLLM is needed; ``seconds``: for which a request
    may wait."""

    def __init__(self, front: Application, full: FullWorkers, want: Callable[[], None], seconds: float) -> None:
        self._front = front
        self._full = full
        self._want = want
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        read = _Read(receive)
        try:
            if scope["type"] == "http" and _wants_websocket(scope):
                await self._front({**scope, "type": "websocket"}, read.receive, _as_answer(send))
            else:
                await self._front(scope, read.receive, send)
        except NeedsLiteLLM as needs:
            given: Refusal | bool = False
            try:
                given = await self._give(scope, read, needs.id)
            finally:
                if given is not True:
                    await asyncio.shield(asyncio.ensure_future(needs.give_up()))
            if isinstance(given, Refusal):
                await send_refusal(scope, send, given)

    async def _give(self, scope: Scope, read: _Read, id: str) -> Refusal | bool:
        """Whether another worker has it now; and what its client is told of why none has, if it is still there."""
        # uvicorn's: the cycle that the request is, and the connection that it came by.
        cycle: Any = read.cycle
        connection = cycle.transport.get_protocol()
        self._want()
        try:
            async with asyncio.timeout(self._seconds):
                body = await read.all(LARGEST_BODY if id else LARGEST_UNKNOWN)
                if body is None or not await read.unless_left(self._until_full()):
                    return False
                await _until_nothing_is_half_received(connection)
        except TimeoutError:
            return _unavailable("it does not come to it in time")
        except TooLarge as error:
            return _too_large(error)
        if connection.transport.is_closing():
            return False
        if cycle.response_started:  # it cannot be answered from the beginning
            connection.transport.close()
            return False
        if not self._pass_on(connection, scope, body, id):
            return _unavailable(self._full.told or "it has just ended")
        cycle.disconnected = True  # it has nothing to say any more
        return True

    async def _until_full(self) -> None:
        """Or until it is said why there will be none. A master that has become another program has not heard it."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(WANT_AGAIN_SECONDS):
                    await self._full.wait()
                return
            self._want()

    def _pass_on(self, connection: Any, scope: Scope, body: bytes, id: str) -> bool:
        """False: there is nobody, and all is as before."""
        if not self._full.here:
            return False
        rest = b"".join(as_bytes(each.scope, bytes(each.body)) for each, _ in reversed(connection.pipeline))
        given = Given(as_bytes(scope, body), rest, id, ADMIN in connection.app_state)
        memory = payload(given)
        try:
            with connections.copy(connection) as sock:
                if not self._full.heirs.give(sock, packet(given), memory):
                    connection.transport.resume_reading()
                    return False
        finally:
            os.close(memory)
        connection.pipeline.clear()
        connections.drop(connection)
        return True


async def _until_nothing_is_half_received(connection: Any) -> None:
    """What has begun behind this request cannot be given as long as part of it is in the parser. Raises TooLarge:
    nobody holds back here who sends it."""
    while not connection.transport.is_closing():
        last = connection.cycle
        if connection.scope is last.scope and not last.more_body:
            return
        if sum(len(each.body) for each, _ in connection.pipeline) > LARGEST_BEHIND:
            raise TooLarge(f"More than {LARGEST_BEHIND:,} bytes were sent behind this request.")
        connection.flow.resume_reading()
        await asyncio.sleep(PIPELINED_TICK)


class _Read:
    """What a client sent, remembered for whoever has to be told again."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._pieces: list[bytes] = []
        self._size = 0
        self._is_whole = False
        self._left = False
        self.cycle = getattr(receive, "__self__", None)

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._left = True
        elif not self._is_whole:
            self._pieces.append(message.get("body", b""))
            self._size += len(self._pieces[-1])
            self._is_whole = not message.get("more_body", False)
        return message

    async def all(self, most: int) -> bytes | None:
        """The whole body; None when the client left meanwhile. Raises TooLarge when more than ``most`` bytes come that
        nobody has read before."""
        while not self._is_whole and not self._left:
            await self.receive()
            if self._size > most:
                self._pieces.clear()
                raise TooLarge(f"The body is larger than {most:,} bytes.")
        if self._left:
            return None
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    async def unless_left(self, what: Awaitable[None]) -> bool:
        """Wait for it. False: the client has left meanwhile."""
        waiting = asyncio.ensure_future(what)
        leaving = asyncio.ensure_future(self._leave())
        try:
            await asyncio.wait((waiting, leaving), return_when=asyncio.FIRST_COMPLETED)
            return waiting.done()
        finally:
            waiting.cancel()
            leaving.cancel()

    async def _leave(self) -> None:
        while not self._left:
            await self.receive()


def as_bytes(scope: Scope, body: bytes) -> bytes:
    """A request as it is sent over a connection."""
    target = scope.get("raw_path") or scope["path"].encode()
    if scope.get("query_string"):
        target += b"?" + scope["query_string"]
    lines = [b"%s %s HTTP/%s" % (scope["method"].encode(), target, scope.get("http_version", "1.1").encode())]
    lines += [name + b": " + value for name, value in scope["headers"] if name not in NOT_AGAIN]
    if body or scope["method"] not in ("GET", "HEAD", "OPTIONS", "DELETE"):
        lines.append(b"content-length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def packet(given: Given) -> bytes:
    """What is said with the descriptors at the exchange of a worker."""
    said = {"first": len(given.first), "id": given.id, "admin": given.admin}
    return connections.GIVE + json.dumps(said).encode()


def payload(given: Given) -> int:
    """A descriptor of memory that has the request; the caller's to close."""
    descriptor = os.memfd_create("aiops-request", os.MFD_CLOEXEC)
    data = memoryview(given.first + given.rest)
    while data:
        data = data[os.write(descriptor, data) :]
    return descriptor


def taken(said: bytes, descriptor: int) -> Given:
    """The inverse of the two; closes ``descriptor``. Raises ValueError, KeyError, OSError."""
    try:
        data = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    finally:
        os.close(descriptor)
    about = json.loads(said[len(connections.GIVE) :])
    first = int(about["first"])
    return Given(data[:first], data[first:], str(about["id"]), bool(about["admin"]))


def feed(connection: Any, given: Given) -> None:
    """Let a connection of the server have received it."""
    if given.id:
        connection.app_state[GIVEN] = given.id
    connection.data_received(given.first)
    connection.app_state.pop(GIVEN, None)
    if given.rest and not connection.transport.is_closing():
        connection.data_received(given.rest)


def _wants_websocket(scope: Scope) -> bool:
    """As a full worker's server sees it, which goes by both headers."""
    headers = scope["headers"]
    if not any(name == _UPGRADE and value.lower() == b"websocket" for name, value in headers):
        return False
    tokens = (token for name, value in headers if name == b"connection" for token in value.split(b","))
    return any(token.strip().lower() == _UPGRADE for token in tokens)


def _as_answer(send: Send) -> Send:
    """A refusal of a handshake is an answer like any other."""

    async def answer(message: Message) -> None:
        if message["type"] == "websocket.close":
            await send({"type": "http.response.start", "status": 403, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
        else:
            await send({**message, "type": message["type"].removeprefix("websocket.")})

    return answer


def _too_large(error: TooLarge) -> Refusal:
    return Refusal(status=413, kind="invalid_request_error", code="413", message=str(error))


def _unavailable(why: str) -> Refusal:
    return Refusal(
        status=503,
        kind="service_unavailable_error",
        code="503",
        message=f"This request needs LiteLLM, which does not serve now: {why}.",
        wait=5.0,
    )
