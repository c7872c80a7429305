"""Which counters the generations of this gateway have, and how those of the committed one are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from aiops.gateway.accountant.say import say
from aiops.gateway.shared import deployment, pointer
from aiops.gateway.shared.journald import WARNING
from aiops.gateway.shared.steady import Condition, Steady
from aiops.state.counters.meters import Unavailable
from aiops.state.counters.opened import ALONE, Opened, opened

PATIENCE_SECONDS = 1.0  # no request waits for the accountant
PROBE_SECONDS = 2.0  # for a probe to be answered


class CountersOf:
    """While one generation gives way to the next, these may be others. ``redis_url``: of the committed generation, None
    for the memory that the workers of this host share. Raises ValueError for a URL that cannot be one."""

    def __init__(self, state: Path, secrets: Path, redis_url: str | None) -> None:
        self._state, self._secrets = state, secrets
        self._opened: dict[str | None, Opened] = {}
        self._of: dict[int, Opened] = {}
        self.committed = self._at(redis_url)

    def generation(self, number: int) -> Opened:
        """Those that its workers count in; of one that is not there, the committed one's."""
        if number not in self._of:
            with suppress(OSError, ValueError):
                self._of[number] = self._at(self._url(number))
        return self._of.get(number, self.committed)

    def _url(self, number: int) -> str | None:
        current = pointer.read(self._state)
        if current is None:
            return None
        names = (each.name for each in current.parent.iterdir() if each.name.isdigit())
        name = next((name for name in names if int(name) == number), current.name)
        found = deployment.of(current.parent / name)
        return found.redis_url(self._secrets) if found is not None else None

    def _at(self, redis_url: str | None) -> Opened:
        if redis_url not in self._opened:
            self._opened[redis_url] = opened(self._state, redis_url, say, seconds=PATIENCE_SECONDS, probed=True)
        return self._opened[redis_url]


class Probe:
    """Of these counters, which lie below ``state`` or in Redis. ``told`` is called with each change of how they are."""

    def __init__(self, counters: Opened, state: Path, told: Callable[[Condition], None]) -> None:
        self._counters, self._state, self._told = counters, state, told
        self._steady = Steady(why="they were not asked yet")
        self._described = False
        self.probed = 0.0
        """Seconds that the last probe took which was answered."""

    @property
    def kind(self) -> str:
        return self._counters.kind

    @property
    def condition(self) -> Condition:
        return self._steady.is_now

    async def check(self) -> None:
        """Ask them something that changes nothing."""
        before, began = self.condition, time.monotonic()
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                if self.kind == "redis":
                    await self._counters.lasting.epoch()
                else:
                    await self._counters.lasting.levels(())
        except (OSError, Unavailable) as error:  # a time-out is an OSError, too
            why = str(error) or f"{self.kind} does not answer within {PROBE_SECONDS:g} s"
            changed = self._steady.failed(time.time(), why)
        else:
            self.probed = time.monotonic() - began
            if not self._described:
                self._described = True
                say(f"counters: {self._name()}, answers in {self.probed * 1000:.1f} ms")
            changed = self._steady.well(time.time())
        if changed:
            now = self.condition
            if not now.is_well:
                say(f"the counters are {now.state}: {now.why}", WARNING)
            elif before.state != "unknown":
                say(f"the counters can be used again, after {now.since - before.since:.0f} s")
            self._told(now)

    def _name(self) -> str:
        if self.kind == "redis":
            return str(self._counters.lasting)
        import lmdb

        return f"LMDB {'.'.join(map(str, lmdb.version()))} at {self._state / ALONE}"
