"""Asks providers, and hands on what they answer as it comes."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from types import TracebackType
from typing import Final

import aiohttp
from multidict import CIMultiDict

from aiops import __version__
from aiops.gateway.worker.lanes.upstream.answer import Answer
from aiops.gateway.worker.lanes.upstream.ask import Ask
from aiops.gateway.worker.lanes.upstream.connector import Attempt, Connector, current
from aiops.gateway.worker.lanes.upstream.failed import BrokeOff, Malformed, Refused, Stage, TimedOut, UpstreamError
from aiops.gateway.worker.lanes.upstream.target import Target, target

__all__ = ["Answer", "Upstream"]

IDLE_SECONDS: Final = 4.0
"""The servers of llama.cpp, vLLM and uvicorn close a connection that was idle for five."""
CROSSING_SECONDS: Final = 5.0
"""Within which a connection that had been closed before is found to be. Whoever ends it later has seen the request, and
may have worked on it: it is not asked twice for what is paid once."""
HEAD_BYTES: Final = 65_536
"""The most that one header of an answer may have; there are 128 at most."""
HELD: Final = 65_536
"""Twice as many bytes of an answer wait for their reader, from where on no more are read from the provider."""
_OURS: Final = frozenset(
    (b"host", b"content-length", b"transfer-encoding", b"connection", b"keep-alive", b"upgrade", b"te", b"trailer",
     b"expect", b"accept-encoding", b"proxy-authorization", b"proxy-connection")
)  # fmt: skip
"""How this connection is used is not for whoever asks to say."""
_TARGETS: Final = 10_000
"""URLs are remembered: the configuration has fewer, whoever asks."""


class Upstream:
    """One for each worker."""

    def __init__(self) -> None:
        self._targets: dict[str, Target] = {}
        self._sessions: tuple[aiohttp.ClientSession, aiohttp.ClientSession] | None = None

    def ask(self, ask: Ask) -> Pending:
        """``async with upstream.ask(…) as answer``: leaving before the end of the answer closes the connection, which
        stops the provider. Raises Refused, TimedOut, BrokeOff, Malformed."""
        return Pending(self, ask)

    async def answer(self, ask: Ask) -> Answer:
        """Whoever takes it this way says ``leave``."""
        to = self._targets.get(ask.url) or self._target(ask.url)
        headers = _headers(tuple(ask.headers))
        kept, fresh = self._sessions or self._open()
        attempt, loop = Attempt(ask.first_byte), asyncio.get_running_loop()
        began = loop.time()
        try:
            return await _asked(kept, ask, to, headers, attempt)
        except BrokeOff as broke:
            if attempt.fresh or broke.began or loop.time() - began > CROSSING_SECONDS:
                raise
        # The provider closed it in the very moment in which it was used again: it has not seen the request.
        return await _asked(fresh, ask, to, headers, Attempt(ask.first_byte))

    async def close(self) -> None:
        """The last request is over."""
        if self._sessions is not None:
            for session in self._sessions:
                await session.close()

    def _target(self, url: str) -> Target:
        try:
            to = target(url)
        except ValueError as error:  # UnicodeError is one
            raise Refused(f"nobody can be asked at this address: {error}") from error
        if len(self._targets) == _TARGETS:
            self._targets.clear()
        self._targets[url] = to
        return to

    def _open(self) -> tuple[aiohttp.ClientSession, aiohttp.ClientSession]:
        """In the loop that they are used in. The second one makes a connection for each request."""
        self._sessions = opened = (_session(Connector(IDLE_SECONDS)), _session(Connector(None)))
        return opened


class Pending:
    """An answer that is on its way; asked for when it is entered."""

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


def _session(connector: Connector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("Accept",),
        auto_decompress=False,
        max_line_size=HEAD_BYTES,
        max_field_size=HEAD_BYTES,
        read_bufsize=HELD,
    )


async def _asked(
    session: aiohttp.ClientSession, ask: Ask, to: Target, headers: CIMultiDict[str], attempt: Attempt
) -> Answer:
    """Once the head of the answer is there. Raises Refused, TimedOut, BrokeOff, Malformed."""
    current.set(attempt)
    try:
        response = await session.request(
            ask.method,
            to.url,
            data=aiohttp.BytesPayload(ask.body) if ask.body else None,
            headers=headers,
            allow_redirects=False,
            timeout=_timeout(ask.connect),
            proxy=to.proxy,
            ssl=to.ssl,
        )
    except aiohttp.ConnectionTimeoutError as error:
        raise TimedOut(Stage.CONNECT, ask.connect) from error
    except (aiohttp.ClientError, ValueError) as error:
        raise TimedOut(Stage.FIRST_BYTE, ask.first_byte) if attempt.late else _failed(error, to) from error
    finally:
        attempt.end()
    answer = Answer(response, asyncio.get_running_loop(), ask.between)
    if answer.status < 200:
        answer.leave()
        raise Malformed("the provider changes to another protocol")
    return answer


@lru_cache(maxsize=64)
def _timeout(connect: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(connect=connect)


@lru_cache(maxsize=256)
def _headers(given: tuple[tuple[bytes, bytes], ...]) -> CIMultiDict[str]:
    """Raises Refused for one that has more than a line."""
    found = CIMultiDict({"user-agent": f"aiops/{__version__}", "accept-encoding": "identity"})
    for name, value in given:
        if any(each in name + value for each in (b"\r", b"\n", b"\0")):
            raise Refused("a header has a line break or a zero in it; nothing was sent")
        lowered = name.lower()
        if lowered in _OURS:
            continue
        if lowered == b"user-agent":
            found.popall("user-agent", None)
        found.add(name.decode("latin-1"), _text(value))
    return found


def _text(value: bytes) -> str:
    """It is sent as UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _failed(error: Exception, to: Target) -> UpstreamError:
    if isinstance(error, aiohttp.ClientConnectorError):
        return Refused(f"no connection to {to.url.raw_host}:{to.url.port}: {error.__cause__ or error}")
    if isinstance(error, aiohttp.ServerDisconnectedError):
        # The head as far as it came, or a sentence.
        return BrokeOff("the provider closed the connection", began=not isinstance(error.message, str))
    if isinstance(error, aiohttp.ClientResponseError):
        return Malformed(f"the answer is no HTTP: {error.message}")
    if isinstance(error, ValueError):
        return Refused(f"nobody can be asked at this address: {error}")
    return BrokeOff(f"the provider closed the connection: {error}", began=False)
