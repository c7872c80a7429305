"""What a provider answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import aiohttp

from aiops.gateway.worker.lanes.upstream.ask import Headers
from aiops.gateway.worker.lanes.upstream.failed import BrokeOff, Malformed, Stage, TimedOut, UpstreamError

WHOLE: Final = 256 * 1024 * 1024
"""Bytes of an answer that is read before it is passed on: one without end must not fill the memory."""


class Answer:
    """``status`` and ``headers`` are those of the provider; the body comes in ``pieces``."""

    __slots__ = ("_late", "_loop", "_response", "_seconds", "_since", "_timer", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse, loop: asyncio.AbstractEventLoop, between: float | None) -> None:
        self.status = response.status
        self.headers: Headers = list(response.raw_headers)
        self._response = response
        self._loop = loop
        self._seconds = between
        self._since: float | None = None  # when the wait that goes on began
        self._timer: asyncio.TimerHandle | None = None
        self._late = False

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body. What came while nobody asked comes in one piece. Raises TimedOut, BrokeOff, Malformed."""
        content, connection = self._response.content, self._response.connection
        # Of a body that lasts as long as its connection, only the connection knows whether it was cut.
        protocol = connection.protocol if connection is not None and self._is_open_ended() else None
        while True:
            if self._seconds is not None and not content.is_eof():
                self._wait()
            try:
                piece = await content.readany()
            except (aiohttp.ClientError, aiohttp.http.HttpProcessingError, OSError) as error:
                raise self._failed(error) from error
            self._since = None
            if not piece:
                break
            yield piece
        if protocol is not None and isinstance(cut := protocol.exception(), aiohttp.ClientOSError):
            raise BrokeOff(str(cut), began=True)

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
        connection = self._response.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()  # at once, whatever is still to be sent
        self._response.close()

    def _is_open_ended(self) -> bool:
        headers = self._response.headers
        return "content-length" not in headers and "transfer-encoding" not in headers

    def _wait(self) -> None:
        self._since = self._loop.time()
        if self._timer is None and self._seconds is not None:
            self._timer = self._loop.call_later(self._seconds, self._look, self._seconds)

    def _look(self, seconds: float) -> None:
        """One timer for all pieces: it looks how long the present wait has lasted, and sleeps for the rest."""
        self._timer = None
        if self._since is None:
            return  # the reader is busy; the next wait begins anew
        left = self._since + seconds - self._loop.time()
        if left > 0.001:
            self._timer = self._loop.call_later(left, self._look, seconds)
        else:
            self._late = True
            self.leave()

    def _failed(self, error: Exception) -> UpstreamError:
        if self._late:
            return TimedOut(Stage.BETWEEN, self._seconds)
        if isinstance(error, aiohttp.http.HttpProcessingError):
            return Malformed(error.message)
        return BrokeOff(str(error), began=True)
