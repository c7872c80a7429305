"""Requests that wait until their provider has a slot: the keys take turns by their weight, and nobody waits for ever.

Whose turn it is decides this worker, among those that wait here. How many slots are taken is known of all workers of
the generation. Start-time fair queueing: each key has a clock of its own that a request moves on by one divided by
the key's weight; the earliest clock is next, and one that slept begins at the present.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from aiops.gateway.worker.board import Board
from aiops.gateway.worker.call import Call
from aiops.spec.choosing.rules import QueueFacts

LOOK_SECONDS = 0.02  # between two looks at the slots: other workers do not say when they give one back
FIRST_GUESS = 1.0  # seconds that a request takes, of a provider that has answered none yet
_LATEST = 0.2  # how much the last request counts in the mean


class TurnedAway(Exception):
    """``wait``: seconds after which a slot should be free for one that asks then."""

    def __init__(self, message: str, wait: float) -> None:
        super().__init__(message)
        self.wait = wait


@dataclass(eq=False)
class _Waiter:
    key: str
    begins: float  # on the clock of the queue
    ends: float
    number: int
    turn: asyncio.Future[None]


@dataclass
class _Line:
    """Of one provider. ``handed``: slots that were given away and are not in the board yet."""

    facts: QueueFacts
    waiting: list[_Waiter] = field(default_factory=list)
    clocks: dict[str, float] = field(default_factory=dict)
    now: float = 0.0
    number: int = 0
    handed: int = 0
    mean: float = FIRST_GUESS
    freed: asyncio.Event = field(default_factory=asyncio.Event)
    serving: asyncio.Task[None] | None = None

    def add(self, key: str, weight: float) -> _Waiter:
        begins = max(self.now, self.clocks.get(key, 0.0))
        self.clocks[key] = ends = begins + 1 / max(weight, 0.001)
        self.number += 1
        waiter = _Waiter(key, begins, ends, self.number, asyncio.get_running_loop().create_future())
        self.waiting.append(waiter)
        return waiter

    def next(self) -> None:
        first = min(self.waiting, key=lambda waiter: (waiter.ends, waiter.number))
        self.waiting.remove(first)
        self.now = max(self.now, first.begins)
        self.handed += 1
        first.turn.set_result(None)
        self._forget()

    def leave(self, waiter: _Waiter) -> None:
        """Without its turn: what it was charged is given back to those of its key that came later."""
        self.waiting.remove(waiter)
        share = waiter.ends - waiter.begins
        for other in self.waiting:
            if other.key == waiter.key and other.number > waiter.number:
                other.begins, other.ends = other.begins - share, other.ends - share
        self.clocks[waiter.key] -= share
        self._forget()

    def _forget(self) -> None:
        if not self.waiting:
            self.clocks.clear()
            self.now = 0.0


class Queue:
    """One per worker."""

    def __init__(self, board: Board, clock: Callable[[], float] = time.monotonic) -> None:
        self._board = board
        self._clock = clock
        self._lines = {name: _Line(facts.queue) for name, facts in board.table.providers.items() if facts.queue}
        if self._lines:
            board.freed = self._freed

    def waiting(self, provider: str) -> int:
        line = self._lines.get(provider)
        return len(line.waiting) if line is not None else 0

    async def enter(self, call: Call, provider: str, key: str, weight: float) -> None:
        """Returns when ``call`` may ask ``provider``, which is then to be begun before anything else is awaited.
        Notes in ``call`` how long it waited. Raises TurnedAway."""
        line = self._lines.get(provider)
        if line is None or call.proof:
            return
        if not line.waiting and self._has_room(provider, line):
            call.queued = call.queued or 0.0
            return
        estimate = self._estimate(provider, line)
        if len(line.waiting) >= line.facts.most:
            raise TurnedAway(f"all slots of `{provider}` are taken, and {len(line.waiting)} requests wait", estimate)
        began, waiter = self._clock(), line.add(key, weight)
        if line.serving is None or line.serving.done():
            line.serving = asyncio.create_task(self._serve(provider, line))
        leaves = asyncio.ensure_future(call.receive()) if call.receive is not None else None
        try:
            await asyncio.wait(
                [each for each in (waiter.turn, leaves) if each is not None],
                timeout=line.facts.seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not waiter.turn.done():
                why = f"no slot of `{provider}` was free within {line.facts.seconds:g} s"
                raise TurnedAway("its client has left" if leaves and leaves.done() else why, estimate)
        finally:
            call.queued = (call.queued or 0.0) + self._clock() - began
            if leaves is not None:
                leaves.cancel()
            if waiter in line.waiting:
                line.leave(waiter)
            elif waiter.turn.done():
                line.handed -= 1
                line.freed.set()  # of one that was cancelled with its turn in hand: the next one has it

    def _has_room(self, provider: str, line: _Line) -> bool:
        return self._board.in_flight(provider) + line.handed < self._board.parallel(provider)

    def _estimate(self, provider: str, line: _Line) -> float:
        return max(1.0, line.mean * (len(line.waiting) + 1) / self._board.parallel(provider))

    async def _serve(self, provider: str, line: _Line) -> None:
        while line.waiting:
            line.freed.clear()
            while line.waiting and self._has_room(provider, line):
                line.next()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await line.freed.wait()

    def _freed(self, provider: str, seconds: float | None) -> None:
        line = self._lines.get(provider)
        if line is not None:
            if seconds is not None:
                line.mean += _LATEST * (seconds - line.mean)
            line.freed.set()
