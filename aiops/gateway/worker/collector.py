"""Garbage collection between callbacks of the event loop, never inside an allocation.

CPython before 3.12 collects in the middle of whatever C code happens to allocate. When that is
``ContextVar.set`` and the garbage is a suspended coroutine that resets a context variable as it is closed
(LiteLLM has such), the tree being copied is freed under the copy and the process dies of a segmentation fault
(python/cpython#148891). Measured here: one crash per 2,000 to 5,000 requests under load.
"""

from __future__ import annotations

import asyncio
import gc

TICK = 0.05  # seconds; a busy worker makes a few thousand objects in that time


async def collect_between_callbacks() -> None:
    """Switch automatic collection off and do it from here, by the interpreter's own thresholds. Never returns."""
    gc.disable()
    while True:
        collect_what_is_due()
        await asyncio.sleep(TICK)


def collect_what_is_due() -> int | None:
    """Collect the oldest generation whose threshold is exceeded; returns which, or None."""
    limits = gc.get_threshold()
    for generation, count in reversed(list(enumerate(gc.get_count()))):
        if limits[generation] and count > limits[generation]:
            gc.collect(generation)
            return generation
    return None
