"""A provider that costs next to nothing: ``python -m tests.bench.lanes.upstream`` says ``ready PORT`` and answers.

A chat completion says in its prompt how it wants to be answered (``wire.prompt``). Answers are made beforehand and
requests are not parsed further than needed: 10 µs each, so that the gateway in front is what is measured.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import re
import sys
from typing import cast

import uvloop

from tests.bench.lanes import wire

LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
PLAN = re.compile(rb"(\d+) events, (\d+) at once, every (\d+) us")
STREAM = re.compile(rb'"stream": ?true')
USAGE = re.compile(rb'"include_usage": ?true')
JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
WHOLE = JSON % (len(wire.ANSWER), wire.ANSWER)
LISTED = JSON % (len(wire.MODELS), wire.MODELS)
NO_LENGTH = b"HTTP/1.1 411 Length Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@functools.cache
def pieces(events: int, at_once: int, usage: bool) -> tuple[bytes, ...]:
    """The HTTP chunks of a stream, ``at_once`` events in each; the end comes with the last."""
    said = wire.events(events, usage=usage)
    cut = [b"".join(said[begin : begin + at_once]) for begin in range(0, len(said), at_once)]
    chunks = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in cut]
    return *chunks[:-1], chunks[-1] + b"0\r\n\r\n"


class Upstream(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._left = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._left = True

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            length = LENGTH.search(self._buffer, 0, end)
            if length is None and self._buffer.startswith(b"POST"):
                self._transport.write(NO_LENGTH)
                self._transport.close()
                return
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            asked, self._buffer = self._buffer[:whole], self._buffer[whole:]
            self._answer(asked, end)

    def _answer(self, asked: bytes, end: int) -> None:
        if asked.startswith(b"GET"):
            self._transport.write(LISTED)
        elif STREAM.search(asked, end) is None:
            self._transport.write(WHOLE)
        else:
            plan = PLAN.search(asked, end)
            events, at_once, pause = map(int, plan.groups()) if plan else (8, 1, 0)
            self._transport.write(EVENTS)
            self._piece(iter(pieces(events, at_once, USAGE.search(asked, end) is not None)), pause / 1e6)

    def _piece(self, left, pause: float) -> None:  # type: ignore[no-untyped-def]
        piece = next(left, None)
        if piece is None or self._left:
            return
        self._transport.write(piece)
        if pause:
            self._loop.call_later(pause, self._piece, left, pause)
        else:  # as soon as whoever else is to be written to was
            self._loop.call_soon(self._piece, left, pause)


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"ready {server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    gc.freeze()
    gc.disable()
    uvloop.run(serve())
