"""Requests of the direct lane that end in every way, one after another for long: each answer is its own, nothing stays
in flight, and the worker does not grow."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
from collections.abc import Iterator

import pytest

from tests.e2e.lanes import answers
from tests.e2e.lanes.asking import ALONE, head_and_body, resident
from tests.e2e.lanes.failures import ERROR_EVENT
from tests.e2e.lanes.place import Place
from tests.e2e.lanes.upstream import Arrived, Peer, Upstream

# `scripts/test soak` has a hundred thousand.
MANY = int(os.environ.get("AIOPS_LANES_REQUESTS", "2000"))
AT_ONCE = 16
MOST_GROWTH = 12 * 1024 * 1024  # bytes, of which pools and tables want some

WHOLE, STREAM, LEFT, LEFT_IN_STREAM, REFUSED, CUT, SPOILT, LARGE = range(WAYS := 8)
STATUSES = {REFUSED: {500}, CUT: {200, 500}, SPOILT: {200, 500}}  # the last, when nothing was passed on before
STREAMS = {STREAM, LEFT_IN_STREAM, CUT, SPOILT}

pytestmark = pytest.mark.usefixtures("rest")


async def end(peer: Peer, arrived: Arrived) -> None:
    """As the request says by its seed."""
    said = arrived.said
    arrived.body = b""  # or what is noted here would be what grows
    events = answers.events(arrived.target, said)
    match said["seed"]:
        case n if n == LEFT:
            await peer.left()
        case n if n == REFUSED:
            await peer.answer(b'{"error": {"message": "no"}}', "500 Internal Server Error")
        case n if n in (CUT, SPOILT, LEFT_IN_STREAM):
            await peer.stream(*events[:4], end=False)
            if n == LEFT_IN_STREAM:
                await peer.left()
            elif n == CUT:
                await asyncio.sleep(0.002)  # or what was sent before would be lost, too
                peer.reset()
            else:
                await peer.piece(ERROR_EVENT)
                await peer.send(b"0\r\n\r\n")
        case _:
            await peer.send(answers.answer(arrived.target, said))


class Crowd:
    """``wrong``: answers that were not as they had to be."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._numbers = itertools.count()
        self.wrong: list[str] = []

    async def ask(self, many: int) -> None:
        numbers = iter(range(many))
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._go_on(numbers))

    async def _go_on(self, numbers: Iterator[int]) -> None:
        for _ in numbers:
            number = next(self._numbers)
            way = number % WAYS
            reader, writer = await asyncio.open_connection("127.0.0.1", self._place.gateway.port)
            text = "a" * 100_000 if way == LARGE else None
            writer.write(
                head_and_body(self._place, ALONE, user=f"u{number}", seed=way, stream=way in STREAMS, stop=text)
            )
            if way == LEFT:
                await writer.drain()
                await asyncio.sleep(0.002)
            else:
                await self._read(reader, number, way)
            writer.transport.abort()

    async def _read(self, reader: asyncio.StreamReader, number: int, way: int) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head.split()[1])
        if way == LEFT_IN_STREAM:
            body = await reader.readuntil(b"\n\n")
        elif b"transfer-encoding: chunked" in head.lower():
            body = await reader.readuntil(b"\r\n0\r\n\r\n")
        else:
            body = await reader.readexactly(int(re.findall(rb"content-length: (\d+)", head.lower())[0]))
        if status not in STATUSES.get(way, {200}):
            self.wrong.append(f"{number} {way}: {status} {body[:200]!r}")
        elif way in (WHOLE, STREAM, LARGE) and f' for u{number}"'.encode() not in body:
            self.wrong.append(f"{number} {way}: {body[-300:]!r}")


@pytest.mark.timeout(120 + MANY / 40)
def test_memory_is_flat_whatever_requests_come_to(gateway: Place, provider: Upstream) -> None:
    provider.script = end
    crowd = Crowd(gateway)
    (worker,) = gateway.gateway.workers()
    asyncio.run(crowd.ask(1000))  # until pools and caches are as large as they get
    before = resident(worker)
    for _ in range(MANY // 500):
        asyncio.run(crowd.ask(500))
        provider.arrived.clear()
    assert crowd.wrong == []
    gateway.at_rest()
    grown = resident(worker) - before
    assert grown < MOST_GROWTH, f"{grown / MANY:.0f} bytes for each of {MANY} requests"
