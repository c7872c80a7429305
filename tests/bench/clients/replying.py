"""A server that costs next to nothing: it reads as little of HTTP as its client writes.

``/one`` answers in one piece, ``/burst`` with ``PIECES`` chunks at once, ``/single`` with as many, one by one.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

import uvloop

PIECES = 200
EVENT = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":" token"}}],"model":"m"}\n\n'
CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)
BETWEEN = 0.002
ONE = b'{"id":"1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hello"}}]}'
HEAD = b"HTTP/1.1 200 OK\r\ndate: Fri, 27 Nov 2026 19:00:00 GMT\r\nserver: bench\r\ncontent-type: %b\r\n%b\r\n\r\n"
AT_ONCE = HEAD % (b"application/json", b"content-length: %d" % len(ONE)) + ONE
STREAM = HEAD % (b"text/event-stream", b"transfer-encoding: chunked")


class Replying(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.read = b""

    def data_received(self, data: bytes) -> None:
        self.read += data
        head, blank, body = self.read.partition(b"\r\n\r\n")
        if not blank or (b"{" not in body):
            return
        self.read = b""
        if head.startswith(b"POST /one"):
            self.transport.write(AT_ONCE)
        elif head.startswith(b"POST /burst"):
            self.transport.write(STREAM + CHUNK * PIECES + b"0\r\n\r\n")
        else:
            self.transport.write(STREAM)
            asyncio.get_running_loop().call_later(BETWEEN, self.next, PIECES)

    def next(self, left: int) -> None:
        self.transport.write(CHUNK if left else b"0\r\n\r\n")
        if left:
            asyncio.get_running_loop().call_later(BETWEEN, self.next, left - 1)


async def serve(told: Connection, context: ssl.SSLContext | None) -> None:
    server = await asyncio.get_running_loop().create_server(Replying, "127.0.0.1", 0, ssl=context)
    told.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def main(told: Connection) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(told, None))


@contextmanager
def replying() -> Iterator[str]:
    """Its URL, while it runs in a process of its own."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=main, args=(theirs,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.kill()
        process.join()
