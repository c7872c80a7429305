"""An answer as it passes, kept so that it can be given again, within a bound."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiops.gateway.worker.front.asgi import Headers, Message, Receive, Send

LARGEST = 1024 * 1024  # bytes of a body that is kept
REPLAY = b"x-aiops-idempotent-replay"
# Of the connection, or of that moment alone.
_PASSING = (b"connection", b"content-length", b"date", b"keep-alive", b"server", b"set-cookie", b"transfer-encoding")
_PASSING_PREFIXES = (b"x-ratelimit-", b"x-litellm-key-", b"x-aiops-queue-")


@dataclass(frozen=True)
class Answer:
    """``headers``: those that are as true later."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    @property
    def streams(self) -> bool:
        return any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in self.headers)

    def plain(self) -> dict[str, Any]:
        """As it is stored, its status apart."""
        headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in self.headers]
        return {"headers": headers, "body": base64.b64encode(self.body).decode()}

    @classmethod
    def of(cls, status: int, stored: Mapping[str, Any]) -> Answer:
        headers = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in stored["headers"])
        return cls(status, headers, base64.b64decode(stored["body"]))

    async def send(self, send: Send, says: Headers) -> None:
        """Once more: a stream as a stream, in one piece. ``says``: what its headers tell of that."""
        head: Headers = [*self.headers, *says]
        if not self.streams:
            head.append((b"content-length", str(len(self.body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": head})
        await send({"type": "http.response.body", "body": self.body})


class Recording:
    """Between LiteLLM's application and its client. ``says``: what its header tells of replays; empty: nothing.

    The application is not told that its client has left: whoever asks again wants the answer. It is when that grows too
    large to be kept, for then nobody would get it."""

    def __init__(self, receive: Receive, send: Send, says: bytes = b"") -> None:
        self.too_large = asyncio.Event()
        self._receive = receive
        self._send = send
        self._says = says
        self._status = 0
        self._headers: tuple[tuple[bytes, bytes], ...] = ()
        self._pieces: list[bytes] = []
        self._size = 0
        self._ended = False

    @property
    def well(self) -> bool:
        """Whether it is an answer, and whole."""
        return self._ended and 200 <= self._status < 300

    def answer(self) -> Answer | None:
        """None: it is too large."""
        return None if self.too_large.is_set() else Answer(self._status, self._headers, b"".join(self._pieces))

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            await self.too_large.wait()
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = [(bytes(name).lower(), bytes(value)) for name, value in message.get("headers", ())]
            self._headers = tuple(pair for pair in headers if not _is_passing(pair[0]))
            if self._says:
                message["headers"] = [*message.get("headers", ()), (REPLAY, self._says)]
        elif message["type"] == "http.response.body":
            self._keep(message.get("body", b""))
            self._ended = self._ended or not message.get("more_body", False)
        await self._send(message)

    def _keep(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > LARGEST:
            self._pieces.clear()
            self.too_large.set()
        elif body:
            self._pieces.append(bytes(body))


def _is_passing(name: bytes) -> bool:
    return name in _PASSING or name.startswith(_PASSING_PREFIXES)
