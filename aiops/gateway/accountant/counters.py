"""Which counters this gateway has."""

from __future__ import annotations

from pathlib import Path

from aiops.gateway.accountant.say import say
from aiops.state.counters.meters import Counters

DIRECTORY = "counters"


def at(state: Path, redis_url: str | None) -> Counters:
    """In Redis, or in memory that the workers of this host share. Raises OSError."""
    if redis_url is not None:
        raise ValueError("this version of aiops cannot count in Redis")
    from aiops.state.counters.shared import Shared

    return Shared(state / DIRECTORY, say=say)
