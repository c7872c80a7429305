"""How a store is, asked all the time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

EVERY_SECONDS = 1.0


async def keep(check: Callable[[], Awaitable[None]]) -> None:
    """Until cancelled: each second, also when an answer takes a part of it."""
    while True:
        began = time.monotonic()
        await check()
        await asyncio.sleep(max(0.0, EVERY_SECONDS - (time.monotonic() - began)))
