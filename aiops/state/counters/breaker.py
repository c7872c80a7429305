"""Who does not answer is not asked by everybody: after a failure one probe a second, in the background, sees whether it
is over. Nobody waits for a probe, and a change of state is told once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiops.state.counters.meters import Unavailable

EVERY = 1.0  # seconds between probes


class Breaker:
    """``probe`` raises while it is not over. ``say`` hears one line for each change of state. ``name``: of what it is
    about, for people."""

    def __init__(self, name: str, probe: Callable[[], Awaitable[None]], say: Callable[[str], None]) -> None:
        self._name, self._probe, self._say = name, probe, say
        self._failed: str | None = None
        self._next = 0.0
        self._probing: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        return self._failed is not None

    def check(self) -> None:
        """Raises Unavailable while it is open, and has a probe made when it is time for one."""
        if self._failed is None:
            return
        self._begin_probe()
        raise Unavailable(f"{self._name}: {self._failed}", asked=False)

    def failed(self, why: str) -> None:
        if self._failed is None:
            self._say(f"{self._name} cannot be used: {why}")
        self._failed = why
        self._begin_probe()

    def _begin_probe(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._next and (self._probing is None or self._probing.done()):
            self._next = now + EVERY
            self._probing = asyncio.create_task(self._ask())

    async def _ask(self) -> None:
        try:
            await self._probe()
        except Unavailable as error:
            self._failed = str(error)
            return
        self._failed = None
        self._say(f"{self._name} answers again")

    async def close(self) -> None:
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)
