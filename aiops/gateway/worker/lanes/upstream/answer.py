"""One answer, between the connection that brings it and whoever reads it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final, Protocol

from aiops.gateway.worker.lanes.upstream.ask import Headers
from aiops.gateway.worker.lanes.upstream.failed import Malformed, Stage, TimedOut, UpstreamError

HELD: Final = 65_536
"""Bytes of an answer that wait for their reader, from where on no more are read from the provider. A single read
brings up to 256 KiB more."""
WHOLE: Final = 256 * 1024 * 1024
"""Bytes of an answer that is read before it is passed on: one without end must not fill the memory."""


class Source(Protocol):
    """The connection an answer comes from."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def cut(self) -> None: ...


class Answer:
    """``status`` and ``headers`` are those of the provider; the body comes in ``pieces``."""

    __slots__ = (
        "_failure", "_held", "_loop", "_paused", "_pieces", "_seconds", "_since", "_source", "_timer", "_waiter",
        "began", "complete", "headers", "status",
    )  # fmt: skip

    def __init__(self, source: Source, loop: asyncio.AbstractEventLoop, between: float | None) -> None:
        self.status = 0  # until the head is there
        self.headers: Headers = []
        self.began = False  # a byte of it came
        self.complete = False
        self._source = source
        self._loop = loop
        self._seconds = between
        self._pieces: deque[bytes] = deque()
        self._held = 0
        self._paused = False
        self._failure: UpstreamError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._since = 0.0
        self._timer: asyncio.TimerHandle | None = None

    # --- for whoever reads it -------------------------------------------------------------------------------------

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body. What came while nobody asked comes in one piece. Raises TimedOut, BrokeOff, Malformed."""
        pieces = self._pieces
        while True:
            if pieces:
                if len(pieces) == 1:
                    piece = pieces.popleft()
                else:
                    piece = b"".join(pieces)
                    pieces.clear()
                self._held = 0
                if self._paused:
                    self._paused = False
                    self._source.resume()
                yield piece
            elif self._failure is not None:
                raise self._failure
            elif self.complete:
                return
            else:
                await self._more()

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
        self._rest()
        self._pieces.clear()
        if not self.complete and self._failure is None:
            self._source.cut()

    async def head(self, seconds: float | None) -> None:
        """Wait until ``status`` and ``headers`` are there. Raises TimedOut, BrokeOff, Malformed."""
        timer = None if seconds is None else self._loop.call_later(seconds, self._no_head, seconds)
        try:
            while not self.status:
                if self._failure is not None:
                    raise self._failure
                await self._wait()
        finally:
            if timer is not None:
                timer.cancel()

    async def _more(self) -> None:
        if self._seconds is not None:
            self._since = self._loop.time()
            if self._timer is None:
                self._timer = self._loop.call_later(self._seconds, self._silent, self._seconds)
        await self._wait()

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    # --- for the connection ---------------------------------------------------------------------------------------

    def take(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._held += len(piece)
        if self._held > HELD and not self._paused:
            self._paused = True
            self._source.pause()

    def wake(self) -> None:
        """After something changed: what waits looks again."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def end(self) -> None:
        """It is complete."""
        self.complete = True
        self._rest()
        if self._paused:  # the connection is another's from now on
            self._paused = False
            self._source.resume()

    def fail(self, failure: UpstreamError) -> None:
        """What came before is still read; then this is raised."""
        if self._failure is None and not self.complete:
            self._failure = failure
            self._rest()
            self.wake()

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _no_head(self, seconds: float) -> None:
        self._give_up(TimedOut(Stage.FIRST_BYTE, seconds))

    def _silent(self, seconds: float) -> None:
        """One timer for all pieces: it looks how long the present wait has lasted, and sleeps for the rest."""
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return  # the reader is busy; the next wait begins anew
        left = self._since + seconds - self._loop.time()
        if left > 0.001:
            self._timer = self._loop.call_later(left, self._silent, seconds)
        else:
            self._give_up(TimedOut(Stage.BETWEEN, seconds))

    def _give_up(self, failure: UpstreamError) -> None:
        cut: Callable[[], None] = self._source.cut
        self.fail(failure)
        cut()
