"""What the workers of this host have seen of providers goes to each of them, whatever their generation, and by Redis to
the other gateways: each writes what its own workers saw, for a few seconds, and reads what the others wrote. Without
Redis the workers of the host go on telling each other; nothing has to be started again when it is back."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Protocol

from aiops.gateway.accountant.server import Peer
from aiops.gateway.shared.accounting import Elsewhere
from aiops.gateway.shared.sightings import Sightings, together
from aiops.state.counters.meters import Unavailable

EVERY_SECONDS = 0.5
LASTS_SECONDS = 5.0  # what a gateway wrote, which may be gone


class Exchange(Protocol):
    """Where gateways meet."""

    async def exchange(self, replica: str, said: bytes, seconds: float) -> list[tuple[float, bytes]]:
        """Say it for so many seconds, and hear what others said, and how many seconds ago. Raises Unavailable."""
        ...


class Sharing:
    """``replica``: this gateway. ``exchange`` None: it is the only one."""

    def __init__(self, replica: str, exchange: Exchange | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._replica, self._exchange, self._clock = replica, exchange, clock
        self._own, self._others = Sightings(), Sightings()
        self._own_at = self._others_at = 0.0
        self._listeners: set[Peer] = set()
        self._was_empty = True
        self._news = asyncio.Event()

    def seen(self, peer: Peer, said: Sightings) -> None:
        """By a worker. What one has said that is gone holds for as long as it would have."""
        now = self._clock()
        before = self._own.later(now - self._own_at)
        self._own, self._own_at = together((before, said)), now
        if peer not in self._listeners or said.avoided.keys() - before.avoided.keys():
            self._news.set()
        self._listeners.add(peer)

    async def go_on(self, connected: Callable[[], Iterable[Peer]]) -> None:
        """Until cancelled. ``connected``: the workers that still are. Nobody who listens: nothing is asked of Redis."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY_SECONDS):
                    await self._news.wait()
            self._news.clear()
            self._listeners &= set(connected())
            if self._listeners:
                self._tell()  # those on this host, who need not wait for Redis
                if await self._meet():
                    self._listeners &= set(connected())
                    self._tell()

    def all(self) -> Sightings:
        now = self._clock()
        return together((self._own.later(now - self._own_at), self._others.later(now - self._others_at)))

    def _tell(self) -> None:
        all = self.all()
        if all or not self._was_empty:
            message = Elsewhere(all.plain())
            for peer in self._listeners:
                peer.say(message)
        self._was_empty = not all

    async def _meet(self) -> bool:
        """Whether anything was heard."""
        if self._exchange is None:
            return False
        said = json.dumps(self._own.later(self._clock() - self._own_at).plain(), separators=(",", ":")).encode()
        try:
            heard = await self._exchange.exchange(self._replica, said, LASTS_SECONDS)
        except Unavailable:  # it says so itself, once; what was heard before is over in its time
            return False
        found = []
        for ago, text in heard:
            with suppress(ValueError):  # of another version
                found.append(Sightings.of(json.loads(text)).later(ago))
        self._others, self._others_at = together(found), self._clock()
        return True
