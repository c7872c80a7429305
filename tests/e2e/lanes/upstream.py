"""A provider that notes every byte it is sent, and answers byte by byte as a test says."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.lanes import answers

LONGEST_HEAD = 1 << 20


@dataclass
class Arrived:
    """One request, as it came. ``connection``: which one of this provider's it came by. ``left``: monotonic, when
    whoever asked closed the connection under it; None: it has not."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    connection: int
    left: float | None = None

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def said(self) -> dict[str, Any]:
        """The body, when it is a JSON object; else nothing."""
        with suppress(ValueError):
            said = json.loads(self.body)
            if isinstance(said, dict):
                return said
        return {}


class Peer:
    """The connection that a request came by."""

    def __init__(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hears: asyncio.Event
    ) -> None:
        self.number = number
        self.hears = hears
        self.reader = reader
        self.writer = writer
        self.keeps = True
        """Whether another request may come by it."""

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, body: bytes, status: str = "200 OK", kind: str = "application/json", **headers: str) -> None:
        """``headers``: with ``_`` for ``-``."""
        more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{more}\r\n"
        await self.send(head.encode("latin-1") + body)

    async def stream(self, *events: bytes, end: bool = True) -> None:
        """The head of a stream and these pieces, each a chunk of its own; without ``end`` more of it may follow."""
        await self.send(answers.STREAM_HEAD)
        for event in events:
            await self.piece(event)
        if end:
            await self.send(b"0\r\n\r\n")

    async def piece(self, data: bytes) -> None:
        await self.send(b"%x\r\n%s\r\n" % (len(data), data))

    async def heard(self, seconds: float) -> None:
        """Returns when the client has something of the answer; or after so long, for what comes before a token is kept
        back."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.hears.wait()

    def close(self) -> None:
        self.keeps = False

    def reset(self) -> None:
        """Not the polite end of a connection."""
        self.keeps = False
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def left(self) -> None:
        """Returns when whoever asked has closed the connection."""
        self.keeps = False
        with suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


Script = Callable[[Peer, Arrived], Awaitable[None]]
"""Answers one request, or does not."""


@dataclass
class Upstream:
    """``models``: that it lists. ``script``: what answers from now on; None: ``answers``. ``closes_idle``: seconds
    until a connection that nobody uses is closed. ``reads_bodies``: or answers by the head alone."""

    models: tuple[str, ...] = ()
    script: Script | None = None
    arrived: list[Arrived] = field(default_factory=list)
    opened: int = 0
    open: int = 0
    closes_idle: float | None = None
    reads_bodies: bool = True
    troubles: list[str] = field(default_factory=list)
    """What was no HTTP at all."""

    def __post_init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._hears = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        self.call(self._listen())

    @property
    def posted(self) -> list[Arrived]:
        """What was asked; without listings and health."""
        return [each for each in self.arrived if each.method != "GET"]

    def is_heard(self) -> None:
        """The client has something of what was answered since it was last forgotten."""
        self._loop.call_soon_threadsafe(self._hears.set)

    def forget(self) -> None:
        self.script = None
        self.closes_idle = None
        self.reads_bodies = True
        self._loop.call_soon_threadsafe(self._hears.clear)
        self.arrived.clear()

    def call(self, work: Coroutine[Any, Any, Any]) -> Any:
        """In the thread in which it answers."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def stop_listening(self) -> None:
        """Nobody is there any more, on new connections and on old ones."""
        self.call(self._hang_up())

    def listen_again(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=512)
        self.call(self._listen())

    def stop(self) -> None:
        self.call(self._hang_up())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _work(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, sock=self._listener, limit=LONGEST_HEAD)

    async def _hang_up(self) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.opened += 1
        self.open += 1
        peer = Peer(self.opened, reader, writer, self._hears)
        try:
            with suppress(ConnectionError, TimeoutError, asyncio.CancelledError):
                while peer.keeps:
                    async with asyncio.timeout(self.closes_idle):
                        arrived = await self._read(peer)
                    if arrived is None:
                        break
                    self.arrived.append(arrived)
                    await self._answer(peer, arrived)
        finally:
            self.open -= 1
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, peer: Peer, arrived: Arrived) -> None:
        watching = asyncio.create_task(_note_when_left(peer, arrived))
        try:
            if arrived.method == "GET":
                await peer.send(answers.listing(self.models))
            else:
                await (self.script or say)(peer, arrived)
        except ConnectionError:
            arrived.left = time.monotonic()
            raise
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            if peer.reader.at_eof() and arrived.left is None:
                arrived.left = time.monotonic()

    async def _read(self, peer: Peer) -> Arrived | None:
        try:
            head = await peer.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                self.troubles.append(f"half a head: {error.partial[:200]!r}")
            return None
        first, *lines = head[:-4].decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        pairs = [line.partition(":") for line in lines]
        arrived = Arrived(method, target, [(name, value.strip()) for name, _, value in pairs], b"", peer.number)
        if not self.reads_bodies:
            return arrived
        if (arrived.header("transfer-encoding") or "").lower() == "chunked":
            arrived.body = await _chunks(peer.reader)
        elif length := int(arrived.header("content-length") or 0):
            arrived.body = await peer.reader.readexactly(length)
        return arrived


async def say(peer: Peer, arrived: Arrived) -> None:
    """As a provider that is well."""
    await peer.send(answers.answer(arrived.target, arrived.said))


async def _note_when_left(peer: Peer, arrived: Arrived) -> None:
    """Without reading, for what is read belongs to the next request."""
    while not peer.reader.at_eof() and peer.reader.exception() is None:
        await asyncio.sleep(0.01)
    arrived.left = time.monotonic()


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    pieces = []
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        pieces.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return b"".join(pieces)
