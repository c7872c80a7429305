"""The counters of a gateway: of this host alone, or in Redis with the host's own standing in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aiops.state.counters.meters import Counters

ALONE = "counters"  # below the state directory
STANDING_IN = "counters-standing-in"


@dataclass(frozen=True)
class Opened:
    """``deciding``: for who reserves. ``lasting``: those whose epoch a row of the ledger bears that is counted for
    good, never the ones that stand in for a while."""

    deciding: Counters
    lasting: Counters

    @property
    def kind(self) -> str:
        return "lmdb" if self.deciding is self.lasting else "redis"


def opened(
    state: Path,
    redis_url: str | None,
    say: Callable[[str], None],
    *,
    seconds: float | None = None,
    probed: bool = False,
) -> Opened:
    """``redis_url`` None: this host's alone. ``seconds``: that a question to Redis may take, for who is in no hurry.
    ``probed``: whoever asks for it says himself how Redis is. Raises OSError, and ``connections.BadUrl``."""
    from aiops.state.counters.shared import Shared

    if redis_url is None:
        alone = Shared(state / ALONE, say=say)
        return Opened(alone, alone)
    from aiops.state.counters import redis
    from aiops.state.counters.fallback import Fallback

    patience = redis.SECONDS if seconds is None else seconds
    told = _nobody if probed else say
    first = redis.Redis(redis_url, connect=patience, command=patience, say=told)
    return Opened(Fallback(first, Shared(state / STANDING_IN, say=say)), first)


def _nobody(_: str) -> None:
    pass
