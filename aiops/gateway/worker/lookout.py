"""What a worker needs and does not have itself, looked at each second: the accountant, and what that says of the
stores.

How those are is the accountant's to say, so that all workers of a gateway say the same. A worker adds what it alone
knows: counters that do not answer it in time, a disk that does not take its usage.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from aiops.gateway.shared.steady import UNKNOWN, WELL, Condition, Steady
from aiops.gateway.worker.accountant import Accountant
from aiops.gateway.worker.front.reserve import Reserve
from aiops.state.counters.fallback import Fallback
from aiops.state.counters.meters import Counters
from aiops.state.usage.spool import Spool

SILENT = "it gave no sign of life"
RESTARTS = 6  # seconds that one which was killed may take to be back, on a machine that is busy


class Lookout:
    """``counters`` None: there are none on this disk."""

    def __init__(
        self,
        accountant: Accountant,
        counters: Counters | None,
        reserve: Reserve,
        spool: Spool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._accountant_is, self._counters, self._reserve, self._spool = accountant, counters, reserve, spool
        self._clock = clock
        self._kind = "redis" if isinstance(counters, Fallback) else "counters"
        now = clock()
        self._accountant = Steady(WELL, now, failures=RESTARTS, successes=1)
        self._own_counters = Steady(WELL, now)
        self._usage = Steady(WELL, now)

    def look(self) -> None:
        """To be called each second."""
        now = self._clock()
        _note(self._accountant, self._accountant_is.answers, now, SILENT)
        _note(self._own_counters, self._is_counted, now, f"{self._kind} does not answer in time")
        _note(self._usage, not self._spool.waiting, now, f"{self._spool.waiting} records wait for the disk")

    def conditions(self) -> Mapping[str, Condition]:
        """By check. What only the accountant could say is ``unknown`` without it."""
        if self._accountant_is.answers:
            self._accountant.well(self._clock())
        accountant, own = self._accountant.is_now, self._own_counters.is_now
        store, counters = self._accountant_is.said
        if not accountant.is_well:
            store = Condition(UNKNOWN, accountant.since, "only the accountant could say")
            counters = own
        return {
            "accountant": accountant,
            "store": store,
            self._kind: own if counters.is_well else counters,
            "usage": self._usage.is_now,
        }

    @property
    def stands_in(self) -> bool:
        """Counters of this host decide in the place of Redis, now."""
        return isinstance(self._counters, Fallback) and self._counters.stands_in is not None

    @property
    def _is_counted(self) -> bool:
        if isinstance(self._counters, Fallback):
            return not self.stands_in  # asked each second with the sign of life, if by nobody else
        return self._counters is not None and self._reserve.available


def _note(steady: Steady, well: bool, now: float, why: str) -> None:
    if well:
        steady.well(now)
    else:
        steady.failed(now, why)
