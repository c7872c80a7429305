"""The accountant as a worker sees it: one connection that is made again when it breaks, and never waited for long."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from aiops.gateway.shared import accounting, protocol
from aiops.gateway.shared.accounting import WELL, Answer, Changed, Question
from aiops.gateway.shared.steady import Condition
from aiops.state import plain
from aiops.state.shapes import Identity

WAIT_SECONDS = 2.0  # that a request may wait for an answer, the time without a connection included
SEED_SECONDS = 10.0  # a sum over the ledger
MANAGE_SECONDS = 30.0
AGAIN_FIRST, AGAIN_MOST = 0.05, 1.0
LOST_SECONDS = 3.0  # without it until the worker says so: one that is started again is not news
LATE = 2.5  # signs of life that are due

A = TypeVar("A", bound=Answer)


class Away(Exception):
    """It does not answer, or cannot: the text says why, for whoever runs the gateway."""


class Accountant:
    """``changed`` is called with what is to be forgotten; when it returns, it is. ``run`` has the socket; ``url`` is
    where this generation is served."""

    def __init__(self, run: Path, generation: int, url: str, changed: Callable[[Changed], None]) -> None:
        self._path = run / accounting.SOCKET
        self._hello = accounting.Hello(os.getpid(), generation, url)
        self._changed = changed
        self._writer: asyncio.StreamWriter | None = None
        self._there = asyncio.Event()
        self._ids = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Answer]] = {}
        self._gone_since = time.monotonic()
        self._hangs = False  # it was asked whose a key is, and did not answer
        self.elsewhere: Callable[[Mapping[str, Any]], None] = lambda sightings: None
        """Told what others have seen. May raise ValueError."""
        self._shares = False
        self._store = accounting.Store(WELL)
        self._signed_at = 0.0  # monotonic; of its last sign of life
        self._seq: int | None = None  # of the last change that was applied

    # --- what a worker asks -----------------------------------------------------------------------------------

    async def identity(self, hash: str) -> tuple[Identity | None, int]:
        """Whose key has this hash, None for nobody's, and the number of the last change that this contains.

        Raises Away after ``WAIT_SECONDS``.
        """
        answer = await self._ask(accounting.LookUp(hash), accounting.Known, WAIT_SECONDS)
        return (plain.identity(answer.identity) if answer.identity is not None else None), answer.seq

    async def seed(self, counters: Sequence[accounting.Unseeded], epoch: str) -> None:
        """Tell these counters, of this epoch, what the ledger says. Raises Away."""
        await self._ask(accounting.Seed(tuple(counters), epoch), accounting.Done, SEED_SECONDS)

    async def manage(self, request: accounting.Manage) -> accounting.Managed:
        """Have a request to the management API answered. Raises Away."""
        return await self._ask(request, accounting.Managed, MANAGE_SECONDS)

    async def ingest(self) -> None:
        """Have all that is in the spools now written to the ledger. Raises Away."""
        await self._ask(accounting.Ingest(), accounting.Done, SEED_SECONDS)

    async def begin(self, question: accounting.Begin) -> accounting.Begun:
        """Which is the first request with this ``Idempotency-Key``. Raises Away."""
        return await self._ask(question, accounting.Begun, WAIT_SECONDS)

    async def finish(self, question: accounting.Finish) -> None:
        """Have its answer kept. Raises Away."""
        await self._ask(question, accounting.Done, SEED_SECONDS)

    async def abandon(self, first: accounting.First) -> None:
        """It failed. Raises Away."""
        await self._ask(accounting.Abandon(first), accounting.Done, SEED_SECONDS)

    async def renew(self, firsts: Sequence[accounting.First], seconds: float) -> None:
        """They still run. Raises Away."""
        await self._ask(accounting.Renew(seconds, tuple(firsts)), accounting.Done, WAIT_SECONDS)

    def tell(self, seen: accounting.Seen) -> None:
        """For all others; lost when nobody is there to hear it."""
        if self._writer is not None and self._shares and self._there.is_set():
            self._writer.write(protocol.encode(seen.plain()))

    async def scrape(self) -> str:
        """What is counted, as Prometheus reads it. Raises Away."""
        if not self._store.every:
            raise Away("the accountant is of an older aiops, or was not heard yet")
        return (await self._ask(accounting.Scrape(), accounting.Scraped, WAIT_SECONDS)).text

    # --- how it is --------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """``pass`` or ``lost``."""
        there = self._there.is_set() or time.monotonic() - self._gone_since < LOST_SECONDS
        return WELL if there and not self._hangs else "lost"

    @property
    def answers(self) -> bool:
        """It is connected, and gave its last sign of life in time."""
        every = self._store.every
        silent = every and time.monotonic() - self._signed_at > LATE * every
        return self._there.is_set() and not self._hangs and not silent

    @property
    def said(self) -> tuple[Condition, Condition]:
        """What it said last of the database and of the counters; of these an older one says nothing."""
        store, counters = self._store, self._store.counters
        shared = Condition(counters.state, counters.since, counters.why) if counters is not None else Condition(WELL)
        return Condition(store.state, store.since, store.said), shared

    @property
    def store(self) -> accounting.Store:
        """How the database is, by what was said last; ``unknown`` when that is over."""
        return self._store if self.state == WELL else accounting.Store("unknown", "the accountant does not answer")

    # --- the connection ---------------------------------------------------------------------------------------

    async def stay_connected(self) -> None:
        """Until cancelled."""
        wait = AGAIN_FIRST
        while True:
            with suppress(OSError, ValueError):
                reader, self._writer = await asyncio.open_unix_connection(str(self._path), limit=protocol.MAX_LINE)
                try:
                    await self._listen(reader)
                    wait = AGAIN_FIRST
                finally:
                    self._hang_up()
            await asyncio.sleep(wait)
            wait = min(2 * wait, AGAIN_MOST)

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        assert self._writer is not None
        self._writer.write(protocol.encode({"id": 0, **self._hello.plain()}))
        buffer = protocol.LineBuffer()
        while data := await reader.read(65536):
            for message in buffer.feed(data):
                self._hear(message)

    def _hear(self, message: protocol.Message) -> None:
        self._hangs = False
        match said := accounting.said(message):
            case accounting.Welcome() as welcome:
                # What was changed meanwhile nobody has said. While the database is away, what is known is all there is.
                if welcome.seq is not None:
                    self._forget(Changed(welcome.seq, () if welcome.seq == self._seq else None))
                self._shares = welcome.shares
                self._there.set()
            case accounting.Elsewhere():
                self.elsewhere(said.sightings)
            case Changed() as changed:
                self._forget(changed)
            case accounting.Store() as store:
                self._store, self._signed_at = store, time.monotonic()
            case (
                accounting.Known()
                | accounting.Done()
                | accounting.Managed()
                | accounting.Begun()
                | accounting.Scraped()
                | accounting.Failed() as answer
            ):
                waiting = self._asked.pop(int(message.get("id", 0)), None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)

    def _forget(self, changed: Changed) -> None:
        self._changed(changed)
        self._seq = changed.seq
        if self._writer is not None:
            self._writer.write(protocol.encode(accounting.Applied(changed.seq).plain()))

    def _hang_up(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer = None
        if self._there.is_set():
            self._gone_since = time.monotonic()
        self._there.clear()
        asked, self._asked = self._asked, {}
        for waiting in asked.values():
            if not waiting.done():
                waiting.set_exception(ConnectionResetError())

    async def _ask(self, question: Question, kind: type[A], seconds: float) -> A:
        """What breaks off is asked once more for as long as there is time, but for what changes something."""
        again = not isinstance(question, accounting.Manage)
        try:
            async with asyncio.timeout(seconds):
                while True:
                    await self._there.wait()
                    try:
                        answer = await self._send(question)
                    except ConnectionResetError:
                        if again:
                            continue
                        raise Away("the accountant went away before it had answered") from None
                    break
        except TimeoutError:
            if isinstance(question, accounting.LookUp):  # the others may simply take long
                self._hangs = self._there.is_set()
            raise Away(f"the accountant does not answer within {seconds:g} s") from None
        if isinstance(answer, accounting.Failed):
            raise Away(answer.error)
        if not isinstance(answer, kind):
            raise Away(f"the accountant answered with `{answer.word}`")
        return answer

    async def _send(self, question: Question) -> Answer:
        if self._writer is None:
            raise ConnectionResetError
        id = next(self._ids)
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asked[id] = waiting
        try:
            self._writer.write(protocol.encode({"id": id, **question.plain()}))
            return await waiting
        finally:
            self._asked.pop(id, None)
