"""Asks providers, and hands on what they answer as it comes."""

from __future__ import annotations

from types import TracebackType
from typing import Final

from aiops import __version__
from aiops.gateway.worker.lanes.upstream.answer import Answer
from aiops.gateway.worker.lanes.upstream.ask import Ask
from aiops.gateway.worker.lanes.upstream.failed import Refused
from aiops.gateway.worker.lanes.upstream.pool import Pool
from aiops.gateway.worker.lanes.upstream.target import Origin, target

_OURS: Final = frozenset(
    (b"host", b"content-length", b"transfer-encoding", b"connection", b"keep-alive", b"upgrade", b"te", b"trailer",
     b"expect", b"accept-encoding", b"proxy-authorization", b"proxy-connection")
)  # fmt: skip
"""How this connection is used is not for whoever asks to say."""
_AGENT: Final = b"user-agent: aiops/%b\r\n" % __version__.encode()
# The text of an answer is looked at on its way.
_ALWAYS: Final = b"accept-encoding: identity\r\n"
_PLACES: Final = 10_000
"""URLs are remembered: the configuration has fewer, whoever asks."""


class Upstream:
    """One for each worker, made in its event loop."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, str], tuple[bytes, Pool]] = {}
        self._pools: dict[Origin, Pool] = {}

    def ask(self, ask: Ask) -> Asking:
        """``async with upstream.ask(…) as answer``: leaving before the end of the answer closes the connection, which
        stops the provider. Raises Refused, TimedOut, BrokeOff, Malformed."""
        return Asking(self, ask)

    async def answer(self, ask: Ask) -> Answer:
        """Whoever takes it this way says ``leave``."""
        start, pool = self._places.get((ask.method, ask.url)) or self._place(ask)
        return await pool.answer(_head(start, ask), ask)

    async def close(self) -> None:
        for pool in self._pools.values():
            pool.close()

    def _place(self, ask: Ask) -> tuple[bytes, Pool]:
        try:
            to = target(ask.method, ask.url)
        except ValueError as error:  # UnicodeError is one
            raise Refused(f"nobody can be asked at this address: {error}") from error
        pool = self._pools.get(to.origin) or Pool(to.origin)
        self._pools[to.origin] = pool
        if len(self._places) == _PLACES:
            self._places.clear()
        self._places[ask.method, ask.url] = (to.start, pool)
        return to.start, pool


class Asking:
    __slots__ = ("_answer", "_ask", "_upstream")

    def __init__(self, upstream: Upstream, ask: Ask) -> None:
        self._upstream = upstream
        self._ask = ask

    async def __aenter__(self) -> Answer:
        self._answer = await self._upstream.answer(self._ask)
        return self._answer

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._answer.leave()


def _head(start: bytes, ask: Ask) -> bytes:
    """Raises Refused when there would be more lines than headers."""
    parts = [start, _ALWAYS]
    kept, agent = 0, _AGENT
    for name, value in ask.headers:
        lowered = name.lower()
        if lowered in _OURS:
            continue
        if lowered == b"user-agent":
            agent = b""
        parts += (name, b": ", value, b"\r\n")
        kept += 1
    length = b"content-length: %d\r\n" % len(ask.body) if ask.body or ask.method != "GET" else b""
    parts += (agent, length, b"\r\n")
    head = b"".join(parts)
    lines = start.count(b"\n") + kept + bool(agent) + bool(length) + 2
    if head.count(b"\n") != lines or head.count(b"\r") != lines or b"\0" in head:
        raise Refused("a header has a line break or a zero in it; nothing was sent")
    return head
