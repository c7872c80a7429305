"""What a provider answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import aiohttp
from aiohttp.http import HttpProcessingError

from aiops.gateway.worker.lanes.upstream.ask import Headers
from aiops.gateway.worker.lanes.upstream.failed import BrokeOff, Malformed, Stage, TimedOut, UpstreamError

WHOLE: Final = 256 * 1024 * 1024
"""Bytes of an answer that is read before it is passed on: one without end must not fill the memory."""


_LOOK_SECONDS: Final = 1.0
"""How often a wait is looked at: a body that is no HTTP ends its connection, and aiohttp does not wake who reads it."""


class Answer:
    """``status`` and ``headers`` are those of the provider; the body comes in ``pieces``."""

    __slots__ = (
        "_failure",
        "_loop",
        "_protocol",
        "_response",
        "_seconds",
        "_since",
        "_timer",
        "_transport",
        "headers",
        "status",
    )

    def __init__(
        self, response: aiohttp.ClientResponse, loop: asyncio.AbstractEventLoop, between: float | None
    ) -> None:
        self.status = response.status
        self.headers: Headers = list(response.raw_headers)
        self._response = response
        connection = response.connection  # None: all of it came with its head
        self._protocol = connection.protocol if connection is not None else None
        self._transport = connection.transport if connection is not None else None
        self._loop = loop
        self._seconds = between
        self._since: float | None = None  # when the wait that goes on began
        self._timer: asyncio.TimerHandle | None = None
        self._failure: UpstreamError | None = None

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body. What came while nobody asked comes in one piece. Raises TimedOut, BrokeOff, Malformed."""
        content, protocol = self._response.content, self._protocol
        while True:
            if not content.is_eof():
                self._since = self._loop.time()
                if self._timer is None:
                    self._timer = self._loop.call_later(self._next_look(), self._look)
            try:
                piece = await content.readany()
            except (aiohttp.ClientError, OSError, RuntimeError) as error:  # RuntimeError: it is closed
                raise self._failure or self._why(error) from error
            self._since = None
            if not piece:
                break
            yield piece
        # Of a body that lasts as long as its connection, only the connection knows whether it was cut.
        if protocol is not None and self._is_open_ended() and isinstance(protocol.exception(), aiohttp.ClientOSError):
            raise BrokeOff(str(protocol.exception()), began=True)

    async def whole(self, at_most: int = WHOLE) -> bytes:
        """All of the body. Raises as ``pieces``, and Malformed for one that is longer."""
        found, length = [], 0
        async for piece in self.pieces():
            found.append(piece)
            length += len(piece)
            if length > at_most:
                raise Malformed(f"the answer has more than {at_most} bytes")
        return found[0] if len(found) == 1 else b"".join(found)

    def leave(self) -> None:
        """Whoever leaves before the end stops the provider."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        response, transport = self._response, self._transport
        if transport is not None and (response.connection is not None or transport.is_closing()):
            transport.abort()  # at once: it would wait for what is still to be sent
        if not response.closed:
            response.close()

    def _is_open_ended(self) -> bool:
        headers = self._response.headers
        return "content-length" not in headers and "transfer-encoding" not in headers

    def _next_look(self, waited: float = 0.0) -> float:
        return _LOOK_SECONDS if self._seconds is None else min(_LOOK_SECONDS, self._seconds - waited)

    def _look(self) -> None:
        """One timer for all pieces: it looks how long the present wait has lasted."""
        self._timer = None
        if self._since is None:
            return  # the reader is busy; the next wait begins anew
        waited = self._loop.time() - self._since
        connection = self._response.connection
        if connection is not None and connection.closed:
            self._failure = self._why(None)
        elif self._seconds is not None and waited > self._seconds - 0.001:
            self._failure = TimedOut(Stage.BETWEEN, self._seconds)
        else:
            self._timer = self._loop.call_later(self._next_look(waited), self._look)
            return
        self.leave()

    def _why(self, error: Exception | None) -> UpstreamError:
        """It broke off. ``error``: what is said of it."""
        found = self._protocol.exception() if self._protocol is not None else None
        if isinstance(found, HttpProcessingError):
            return Malformed(f"the answer is no HTTP: {found.message}")
        return BrokeOff(f"the provider closed the connection: {error or found}", began=True)
