"""Answers kept in the Redis that several gateways share. Nobody waits for it: who does not answer at once is not asked.

What is kept ends by itself, and all of it together is never more than a bound: a Redis that is full would refuse to
count limits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiops.state.counters.breaker import Breaker
from aiops.state.counters.meters import Unavailable
from aiops.state.counters.pool import Patience, Pool, Script

SECONDS = 0.02  # that a request may be held up by the question
KEEPING = 1.0  # of keeping one, for which nobody waits
CONNECTIONS = 16  # of one process
_SCRIPT = Path(__file__).parent / "keep.lua"


class Kept:
    """``ttl``: seconds until an answer ends; ``most``: bytes of all. ``say`` hears one line when Redis is lost, and one
    when it is back. Raises ``connections.BadUrl``."""

    def __init__(
        self, url: str, ttl: float, most: int, say: Callable[[str], None], *, prefix: str = "aiops:answers:"
    ) -> None:
        self._pool = Pool(url, connect=KEEPING, command=KEEPING, greet=_greet)
        self._script = Script(_SCRIPT.read_text())
        self._ttl, self._most, self._prefix = max(1, round(ttl * 1000)), most, prefix
        self._busy = 0
        self._breaker = Breaker(f"the response cache: {self._pool.place}", self._probe, say)

    async def get(self, name: str) -> bytes | None:
        """None when there is none, and when nobody says within ``SECONDS``."""
        found = await self._ask(SECONDS, self._pool.command, "GET", f"{self._prefix}a:{name}")
        return found if isinstance(found, bytes) else None

    async def put(self, name: str, answer: bytes) -> None:
        """As long as Redis answers."""
        words = (self._prefix, name, answer, self._ttl, self._most)
        await self._ask(KEEPING, self._pool.evaluate, self._script, *words)

    async def close(self) -> None:
        await self._breaker.close()
        await self._pool.hang_up()

    async def _ask(self, seconds: float, ask: Callable[..., Awaitable[Any]], *words: Any) -> Any:
        if self._busy >= CONNECTIONS:
            return None  # it is asked more than it answers
        self._busy += 1
        try:
            self._breaker.check()
            async with Patience(seconds):
                return await ask(*words)
        except Unavailable:
            return None
        except self._pool.errors as error:
            await self._pool.hang_up()
            self._breaker.failed(str(error) or f"no answer within {seconds * 1000:g} ms")
            return None
        finally:
            self._busy -= 1

    async def _probe(self) -> None:
        try:
            async with asyncio.timeout(KEEPING):
                await self._pool.command("PING")
        except self._pool.errors as error:
            raise Unavailable(str(error) or "no answer") from error


async def _greet(connection: Any) -> None:
    await connection.on_connect()
