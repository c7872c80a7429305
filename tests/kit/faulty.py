"""An HTTP server on loopback that does what it is told to, right or wrong, byte for byte."""

from __future__ import annotations

import asyncio
import functools
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from enum import Enum, auto
from typing import Any

from aiops.gateway.worker import egress


class Then(Enum):
    CLOSE = auto()
    RESET = auto()
    HANG = auto()  # until the client closes


Step = bytes | float | Then | Callable[[], Awaitable[object]]
"""What is written; seconds of silence; how it ends; or what is waited for."""
LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def chunked(*pieces: bytes) -> bytes:
    """A whole answer."""
    return CHUNKED + b"".join(chunk(piece) for piece in pieces) + b"0\r\n\r\n"


CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


class Faulty:
    """``heard``: the requests; ``connections``: how many were made; ``gone``: how many of them have ended."""

    def __init__(self, answers: Sequence[Sequence[Step]]) -> None:
        self.url = ""
        self.port = 0
        self.heard: list[bytes] = []
        self.connections = 0
        self.gone = 0
        self.written = 0
        self._answers = answers

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lengths = [
                    int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
                ]
                self.heard.append(head + (await reader.readexactly(lengths[0]) if lengths else b""))
                for step in self._answers[min(len(self.heard), len(self._answers)) - 1]:
                    if await self._do(step, reader, writer):
                        return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.gone += 1
            writer.close()

    async def _do(self, step: Step, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether that was the end of the connection."""
        if isinstance(step, bytes):
            for begin in range(0, len(step), 65536):
                writer.write(step[begin : begin + 65536])
                await writer.drain()
                self.written += len(step[begin : begin + 65536])
        elif isinstance(step, float):
            await asyncio.sleep(step)
        elif step is Then.HANG:
            await reader.read()
            return True
        elif step is Then.RESET:
            sock: socket.socket = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return True
        elif step is Then.CLOSE:
            return True
        elif callable(step):
            await step()
        return False


@asynccontextmanager
async def faulty(
    *answers: Sequence[Step], context: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Faulty]:
    """The first request, on whichever connection, gets the first answer and so on; the last one is for all others."""
    made = Faulty(answers)
    server = await asyncio.start_server(made.serve, host, 0, ssl=context)
    made.port = server.sockets[0].getsockname()[1]
    made.url = f"http{'s' if context else ''}://{f'[{host}]' if ':' in host else host}:{made.port}/v1/chat/completions"
    try:
        yield made
    finally:
        server.close()


async def until(true: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


def in_worker_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that is a coroutine, in the kind of event loop that a worker has."""

    @functools.wraps(test)
    def run(*given: Any, **named: Any) -> None:
        with asyncio.Runner(loop_factory=egress.Loop) as runner:
            runner.run(asyncio.wait_for(test(*given, **named), 60))

    return run
