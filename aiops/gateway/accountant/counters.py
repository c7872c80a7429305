"""Which counters this gateway has."""

from __future__ import annotations

from pathlib import Path

from aiops.gateway.accountant.say import say
from aiops.state.counters.meters import Counters

DIRECTORY = "counters"
PATIENCE_SECONDS = 1.0  # no request waits for the accountant


def at(state: Path, redis_url: str | None) -> Counters:
    """In Redis, or in memory that the workers of this host share. Raises OSError."""
    if redis_url is not None:
        from aiops.state.counters.redis import Redis

        return Redis(redis_url, connect=PATIENCE_SECONDS, command=PATIENCE_SECONDS, say=say)
    from aiops.state.counters.shared import Shared

    return Shared(state / DIRECTORY, say=say)
