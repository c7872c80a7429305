"""What was counted in the last ``SLIDING`` seconds. PURE; ``reserve.lua`` and ``common.lua`` say the same in Lua.

A log is whole numbers: the sum of its entries, what is reserved (tokens), then for each entry the microsecond that it
counts from and how many. It counts until ``SLIDING`` later. Fine entries bear their own time, coarse ones the end of
their second. An entry whose time is still to come is a debt: it counts already, and goes that much later.
"""

from __future__ import annotations

from array import array
from typing import TypeAlias

from aiops.state.counters.meters import EXACT, SLIDING

SECOND = 1_000_000
SPAN = SLIDING * SECOND
ENTRIES = 2  # where they begin
LONGEST = ENTRIES + 2 * 256  # numbers; what comes then is counted with the last one
AHEAD = 2 * SECOND  # further in the future no request was counted, unless the clock was put back since

Log: TypeAlias = "array[int]"


def load(raw: bytes | None, now: int) -> Log:
    """What still counts at ``now``, microseconds since 1970."""
    if raw is None:
        return array("q", (0, 0))
    log = array("q", raw)
    first, end, gone = ENTRIES, len(log), now - SPAN
    if end > first and log[first] <= gone:
        if log[end - 2] <= gone:
            del log[first:]
            log[0] = 0
            return log
        while log[first] <= gone:
            log[0] -= log[first + 1]
            first += 2
        del log[ENTRIES:first]
    return log


def load_requests(raw: bytes | None, now: int) -> Log:
    """As ``load``; a clock that was put back does not shut a key out for as long."""
    log = load(raw, now)
    if len(log) > ENTRIES and log[ENTRIES] > now + AHEAD:
        return array("q", (0, log[1]))
    return log


def add(log: Log, now: int, number: int, limit: int) -> None:
    """Count ``number`` now."""
    _append(log, now, number, limit <= EXACT and log[0] < EXACT)


def add_owing(log: Log, now: int, number: int, limit: int) -> None:
    """Count ``number``, from when the window has room for them: whoever took more than the limit pays it off at the
    rate of the limit."""
    over = log[0] + number - limit
    when = now
    if over > 0 and limit > 0:
        freed = 0
        for place in range(ENTRIES, len(log), 2):
            freed += log[place + 1]
            if freed >= over:
                when = max(now, log[place] + SPAN)
                break
        else:
            after = max(now, log[-2] + SPAN) if len(log) > ENTRIES else now
            when = after + -(-(over - freed) * SPAN // limit)
    _append(log, when, number, limit <= EXACT)


def _append(log: Log, when: int, number: int, fine: bool) -> None:
    if not fine:
        when = (when // SECOND + 1) * SECOND
    log[0] += number
    if len(log) > ENTRIES and (log[-2] >= when or len(log) >= LONGEST):
        log[-2] = max(log[-2], when)
        log[-1] += number
    else:
        log.extend((when, number))


def until(log: Log, needed: int, now: int) -> int | None:
    """Microseconds until ``needed`` of what is counted have left the window; None: that many are not in it."""
    if needed <= 0:
        return 0
    for place in range(ENTRIES, len(log), 2):
        needed -= log[place + 1]
        if needed <= 0:
            return max(0, log[place] + SPAN - now)
    return None
