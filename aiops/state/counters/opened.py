"""The counters of a gateway: of this host alone, or in Redis with the host's own standing in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aiops.state.counters.meters import Counters

if TYPE_CHECKING:
    from aiops.state.counters.later import Later
    from aiops.state.counters.redis import Redis
    from aiops.state.counters.shared import Shared

ALONE = "counters"  # below the state directory
STANDING_IN = "counters-standing-in"


@dataclass(frozen=True)
class Opened:
    """``deciding``: for who reserves. ``lasting``: those whose epoch a row of the ledger bears that is counted for
    good, never the ones that stand in for a while. ``redis``: where gateways meet, if there is one."""

    deciding: Counters
    lasting: Counters
    redis: Redis | None = None

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
    Those of the host that cannot be opened, on a full disk, are tried again later. ``probed``: whoever asks for it says
    himself how Redis is. Raises ``connections.BadUrl``."""
    if redis_url is None:
        alone = _of_host(state / ALONE, say)
        return Opened(alone, alone)
    from aiops.state.counters import redis
    from aiops.state.counters.fallback import Fallback

    patience = redis.SECONDS if seconds is None else seconds
    told = _nobody if probed else say
    first = redis.Redis(redis_url, connect=patience, command=patience, say=told)
    return Opened(Fallback(first, _of_host(state / STANDING_IN, say)), first, first)


def _of_host(directory: Path, say: Callable[[str], None]) -> Shared | Later:
    from aiops.state.counters.later import Later, reason
    from aiops.state.counters.shared import Shared

    def make() -> Shared:
        return Shared(directory, say=say)

    try:
        return make()
    except OSError as error:
        why = reason(directory, error)
        say(f"the counters cannot be opened, and are tried again: {why}")
        return Later(directory, make, why)


def _nobody(_: str) -> None:
    pass
