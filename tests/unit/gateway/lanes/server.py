"""A provider that answers, byte for byte, as it is told to, and notes what it was sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Say = Callable[["Asked", asyncio.StreamWriter], Awaitable[None]]
"""Answers one request. The connection is kept unless it is closed."""


@dataclass
class Asked:
    """``closed``: its client closed the connection before it was answered."""

    line: str
    headers: dict[str, str]
    body: bytes
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.says: list[Say] = []  # one after the other; the last for all that follow
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                line, *lines = head.decode("latin-1").split("\r\n")
                headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in lines if each)}
                asked = Asked(line, headers, await reader.readexactly(int(headers.get("content-length", "0"))))
                self.asked.append(asked)
                say = self.says.pop(0) if len(self.says) > 1 else self.says[0]
                watching = asyncio.create_task(_watch(reader, asked))
                try:
                    await say(asked, writer)
                    await writer.drain()
                finally:
                    watching.cancel()
                if writer.is_closing():
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def _watch(reader: asyncio.StreamReader, asked: Asked) -> None:
    while not reader.at_eof() and reader.exception() is None:
        await asyncio.sleep(0.002)
    asked.closed.set()


@asynccontextmanager
async def server(*says: Say) -> AsyncIterator[Server]:
    made = Server()
    made.says = list(says)
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0, limit=1 << 22)
    made.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        listening.close()


def whole(body: Any, status: int = 200, **headers: str) -> Say:
    """An answer in one piece; ``body``: bytes, or what is written as JSON."""

    async def say(asked: Asked, writer: asyncio.StreamWriter) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
        head = {"content-type": "application/json", "content-length": str(len(data)), **_names(headers)}
        writer.write(_head(status, head) + data)

    return say


def pieces(*parts: bytes | float | asyncio.Event, cut: bool = False, **headers: str) -> Say:
    """A stream; a number is seconds of silence, an event is waited for. ``cut``: it breaks off behind the last one."""

    async def say(asked: Asked, writer: asyncio.StreamWriter) -> None:
        kind = {"content-type": "text/event-stream", "transfer-encoding": "chunked", **_names(headers)}
        writer.write(_head(200, kind))
        for part in parts:
            if isinstance(part, bytes):
                writer.write(b"%x\r\n%s\r\n" % (len(part), part))
                await writer.drain()
                await asyncio.sleep(0.005)  # a piece of its own for whoever reads it
            elif isinstance(part, asyncio.Event):
                await part.wait()
            else:
                await asyncio.sleep(part)
        if cut:
            writer.close()
        else:
            writer.write(b"0\r\n\r\n")

    return say


async def nothing(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """No answer until its client leaves."""
    await asked.closed.wait()
    writer.close()


async def hang_up(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.close()


def raw(data: bytes, *, close: bool = True) -> Say:
    async def say(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        if close:
            writer.close()

    return say


def event(said: Any) -> bytes:
    return b"data: " + json.dumps(said, separators=(",", ":")).encode() + b"\n\n"


def _head(status: int, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} x", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode()


def _names(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
