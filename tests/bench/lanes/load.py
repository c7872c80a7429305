"""The client of these measurements: bare protocols on uvloop, 10 µs a request, so that it does not wait for itself."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import re
import struct
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, cast

import uvloop

LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
EVENT, DONE, END = b"data: ", b"[DONE]", b"0\r\n\r\n"
CARRIED = 64  # bytes of the piece before, in which what is looked for may have begun


@dataclass
class Answer:
    """``began``: when it was to be sent, monotonic seconds; ``first``: its first event, or byte if it is no stream;
    ``ended``; ``ok``: 200, and whole. ``events`` without the last, which says that nothing more comes."""

    began: float
    first: float = 0.0
    ended: float = 0.0
    events: int = 0
    ok: bool = False


@dataclass
class Answers:
    """``seconds``: how long there was load."""

    seconds: float = 0.0
    all: list[Answer] = field(default_factory=list)

    @property
    def good(self) -> list[Answer]:
        return [each for each in self.all if each.ok]

    @property
    def failed(self) -> int:
        return sum(not each.ok for each in self.all)

    @property
    def rate(self) -> float:
        return len(self.good) / self.seconds if self.seconds else 0.0

    def latency(self, share: float) -> float:
        """Seconds within which so many of a hundred parts were answered."""
        return at([each.ended - each.began for each in self.good], share)

    def first(self, share: float) -> float:
        """Seconds to the first token, likewise."""
        return at([each.first - each.began for each in self.good], share)


def at(samples: list[float], share: float) -> float:
    """0 of none."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share / 100))] if ordered else 0.0


class Client(asyncio.Protocol):
    """One connection, one request at a time. ``done`` is told of each answer, and of one that was cut."""

    def __init__(self, done: Callable[[Client, Answer], None]) -> None:
        self._done = done
        self._answer: Answer | None = None
        self.open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.open = True

    def ask(self, request: bytes, began: float) -> None:
        self._answer = Answer(began)
        self._head: bytes | None = b""
        self._left = -1  # bytes of the body; -1: it comes in chunks
        self._tail = b""
        self._transport.write(request)

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:
            return
        if self._head is not None:
            data = self._head + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._head = data
                return
            self._head, head, data = None, data[: end + 2], data[end + 4 :]
            answer.ok = head.startswith(b"HTTP/1.1 200")
            if length := LENGTH.search(head):
                self._left = int(length[1])
                answer.first = time.perf_counter()
        if self._left >= 0:
            self._left -= len(data)
            if self._left <= 0:
                self._end(answer)
            return
        data = self._tail + data
        answer.events += data.count(EVENT) - self._tail.count(EVENT)
        if answer.events and not answer.first:
            answer.first = time.perf_counter()
        self._tail = data[-CARRIED:]
        if data.endswith(END):
            answer.ok = answer.ok and DONE in self._tail
            answer.events -= 1
            self._end(answer)

    def connection_lost(self, error: Exception | None) -> None:
        self.open = False
        if self._answer is not None:
            self._answer.ok = False
            self._end(self._answer)

    def _end(self, answer: Answer) -> None:
        answer.ended = time.perf_counter()
        self._answer = None
        self._done(self, answer)


async def _connected(port: int, done: Callable[[Client, Answer], None]) -> Client:
    _, client = await asyncio.get_running_loop().create_connection(lambda: Client(done), "127.0.0.1", port)
    return client


async def saturate(port: int, request: bytes, connections: int, seconds: float) -> Answers:
    """Each connection asks again as soon as it is answered."""
    answers, finished, busy = Answers(), asyncio.Event(), connections
    began = time.perf_counter()
    until = began + seconds

    def done(client: Client, answer: Answer) -> None:
        nonlocal busy
        answers.all.append(answer)
        if answer.ended < until and client.open:
            client.ask(request, answer.ended)
            return
        busy -= 1
        if not busy:
            finished.set()

    clients = [await _connected(port, done) for _ in range(connections)]
    began = time.perf_counter()
    until = began + seconds
    for client in clients:
        client.ask(request, began)
    await finished.wait()
    answers.seconds = time.perf_counter() - began
    for client in clients:
        client.close()
    return answers


async def at_rate(port: int, request: bytes, rate: float, seconds: float) -> Answers:
    """As many a second, whether answers come or not: an answer's time counts from when its request was due."""
    answers, free = Answers(seconds=seconds), deque[Client]()
    waiting: deque[float] = deque()
    count, sent, finished = int(rate * seconds), 0, asyncio.Event()

    def done(client: Client, answer: Answer) -> None:
        answers.all.append(answer)
        if client.open and waiting:
            client.ask(request, waiting.popleft())
        elif client.open:
            free.append(client)
        if len(answers.all) == count or not (client.open or free or waiting):
            finished.set()

    clients = [await _connected(port, done) for _ in range(min(512, max(16, int(rate / 4))))]
    free.extend(clients)
    began = time.perf_counter()
    with Ticking(1 / rate) as ticks:

        def tick() -> None:
            nonlocal sent
            for _ in range(ticks.passed()):
                if sent == count:
                    return
                due = began + sent / rate
                sent += 1
                if free:
                    free.popleft().ask(request, due)
                else:
                    waiting.append(due)

        loop = asyncio.get_running_loop()
        loop.add_reader(ticks.descriptor, tick)
        try:
            await asyncio.wait_for(finished.wait(), seconds * 3 + 10)
        except TimeoutError:
            answers.all += [Answer(due) for due in waiting]
        finally:
            loop.remove_reader(ticks.descriptor)
    for client in clients:
        client.close()
    return answers


async def together(port: int, request: bytes, count: int, when_all: Callable[[], None]) -> Answers:
    """``count`` at the same time; ``when_all`` is called while all of them are being answered."""
    answers, finished = Answers(), asyncio.Event()

    def done(client: Client, answer: Answer) -> None:
        answers.all.append(answer)
        if len(answers.all) == count:
            finished.set()

    clients = [await _connected(port, done) for _ in range(count)]
    began = time.perf_counter()
    for client in clients:
        client.ask(request, time.perf_counter())
    while not all(client._answer is None or client._answer.first for client in clients):
        await asyncio.sleep(0.02)
    when_all()
    await finished.wait()
    answers.seconds = time.perf_counter() - began
    for client in clients:
        client.close()
    return answers


def run(measured: Coroutine[Any, Any, Answers]) -> Answers:
    """Without the garbage collector, whose pauses would be the gateway's."""
    gc.collect()
    gc.disable()
    try:
        answers: Answers = uvloop.run(measured)
        return answers
    finally:
        gc.enable()


class Ticking:
    """timerfd_create(2): uvloop's own clock has milliseconds, and would send three at once at 3,000 a second."""

    def __init__(self, seconds: float) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor = self._libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK)
        if self.descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        every = (int(seconds), int(seconds % 1 * 1e9))
        given = struct.pack("4l", *every, *every)
        self._libc.timerfd_settime(self.descriptor, 0, given, None)

    def __enter__(self) -> Ticking:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)

    def passed(self) -> int:
        """How often it ticked since last asked."""
        try:
            return struct.unpack("Q", os.read(self.descriptor, 8))[0]  # type: ignore[no-any-return]
        except BlockingIOError:
            return 0
