"""The four kinds of counters: how each stands, whether a demand fits, and what becomes of it. PURE; times are whole
microseconds since 1970. ``common.lua`` and ``reserve.lua`` say the same in Lua."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Protocol

from aiops.state.counters import sliding
from aiops.state.counters.meters import Demand, Level, Meter, What
from aiops.state.counters.sliding import SECOND, Log

MONEY = struct.Struct("<qqq")  # settled, reserved, end of the window in seconds since 1970 (0: none)
OWED = struct.Struct("<q")  # the end of the window of a money counter that has to be seeded first
PARALLEL = struct.Struct("<q")
CODES: dict[What, int] = {"requests": 0, "tokens": 1, "parallel": 2, "money": 3}
REQUESTS_CODE, TOKENS_CODE, PARALLEL_CODE, MONEY_CODE = CODES.values()


class Counter(Protocol):
    """``full``: the demand does not fit. ``wait``: microseconds until it would, None: not known. ``take``: count it,
    and return how much of that is to be given back later. ``packed``: as it is kept."""

    meter: Meter

    def full(self, demand: Demand) -> bool: ...
    def for_good(self) -> bool: ...
    def wait(self, demand: Demand) -> int | None: ...
    def take(self, demand: Demand) -> int: ...
    def level(self) -> Level: ...
    def packed(self) -> bytes: ...


@dataclass(slots=True)
class Requests:
    meter: Meter
    log: Log
    now: int

    def full(self, demand: Demand) -> bool:
        return self.log[0] >= self.meter.limit

    def for_good(self) -> bool:
        return False

    def wait(self, demand: Demand) -> int | None:
        return sliding.until(self.log, self.log[0] + 1 - self.meter.limit, self.now)

    def take(self, demand: Demand) -> int:
        sliding.add(self.log, self.now, 1, self.meter.limit)
        return 0

    def level(self) -> Level:
        log = self.log
        return Level(self.meter, log[0], 0, _windowed(log, log[0], self.meter, self.now))

    def packed(self) -> bytes:
        return self.log.tobytes()


@dataclass(slots=True)
class Tokens:
    meter: Meter
    log: Log
    now: int

    def _wanted(self, demand: Demand) -> int:
        return max(1, min(demand.tokens, self.meter.limit))

    def full(self, demand: Demand) -> bool:
        return self.log[0] + self.log[1] + self._wanted(demand) > self.meter.limit

    def for_good(self) -> bool:
        return False

    def wait(self, demand: Demand) -> int | None:
        needed = self.log[0] + self.log[1] + self._wanted(demand) - self.meter.limit
        return sliding.until(self.log, needed, self.now)

    def take(self, demand: Demand) -> int:
        amount = max(0, min(demand.tokens, self.meter.limit))
        self.log[1] += amount
        return amount

    def level(self) -> Level:
        used = self.log[0] + self.log[1]
        return Level(self.meter, used, self.log[1], _windowed(self.log, used, self.meter, self.now))

    def packed(self) -> bytes:
        return self.log.tobytes()


@dataclass(slots=True)
class Parallel:
    meter: Meter
    live: int

    def full(self, demand: Demand) -> bool:
        return self.live >= self.meter.limit

    def for_good(self) -> bool:
        return False

    def wait(self, demand: Demand) -> int | None:
        return None

    def take(self, demand: Demand) -> int:
        self.live += 1
        return 1

    def level(self) -> Level:
        return Level(self.meter, self.live, self.live, 0.0 if self.live < self.meter.limit else None)

    def packed(self) -> bytes:
        return PARALLEL.pack(self.live)


@dataclass(slots=True)
class Money:
    meter: Meter
    settled: int
    reserved: int
    now: int

    def full(self, demand: Demand) -> bool:
        if self.settled >= self.meter.limit:
            return True
        return self.reserved > 0 and self.settled + self.reserved + demand.cost > self.meter.limit

    def for_good(self) -> bool:
        return self.settled >= self.meter.limit

    def wait(self, demand: Demand) -> int | None:
        return self._left() if self.for_good() else None

    def take(self, demand: Demand) -> int:
        amount = max(0, demand.cost)
        if self.reserved == 0 and self.settled < self.meter.limit:
            amount = min(amount, self.meter.limit - self.settled)
        self.reserved += amount
        return amount

    def level(self) -> Level:
        used = self.settled + self.reserved
        left = 0 if used < self.meter.limit else self._left()
        return Level(self.meter, used, self.reserved, None if left is None else left / SECOND)

    def packed(self) -> bytes:
        return MONEY.pack(self.settled, self.reserved, self.meter.ends or 0)

    def _left(self) -> int | None:
        return None if self.meter.ends is None else max(0, self.meter.ends * SECOND - self.now)


def counter(meter: Meter, raw: bytes | None, now: int, birth: int) -> Counter | None:
    """Given a meter and what is kept of it, how it stands at ``now``. None: money that has to be seeded first.
    ``birth``: of all the counters, microseconds since 1970."""
    if meter.what == "requests":
        return Requests(meter, sliding.load_requests(raw, now), now)
    if meter.what == "tokens":
        return Tokens(meter, sliding.load(raw, now), now)
    if meter.what == "parallel":
        return Parallel(meter, 0 if raw is None else PARALLEL.unpack(raw)[0])
    if raw is not None and len(raw) == MONEY.size:
        settled, reserved, _ = MONEY.unpack(raw)
        return Money(meter, settled, reserved, now)
    if raw is not None or meter.known_from * SECOND < birth:
        return None
    return Money(meter, meter.base, 0, now)


def give_back(code: int, raw: bytes, amount: int, now: int) -> bytes:
    """What is kept of a counter without a reservation of ``amount``."""
    if code == TOKENS_CODE:
        log = sliding.load(raw, now)
        log[1] = max(0, log[1] - amount)
        return log.tobytes()
    if code == PARALLEL_CODE:
        return PARALLEL.pack(max(0, PARALLEL.unpack(raw)[0] - amount))
    settled, reserved, ends = MONEY.unpack(raw)
    return MONEY.pack(settled, max(0, reserved - amount), ends)


def use_tokens(raw: bytes | None, tokens: int, limit: int, shadow: bool, now: int, held: int = 0) -> bytes:
    """Count tokens that were really used, in the place of those that were ``held``. Nobody is held to pay off what a
    limit in shadow let pass."""
    log = sliding.load(raw, now)
    if held:
        log[1] = max(0, log[1] - held)
    if tokens > 0:
        (sliding.add if shadow else sliding.add_owing)(log, now, tokens, limit)
    return log.tobytes()


def spend(raw: bytes, cost: int, held: int = 0) -> bytes:
    """``cost`` in the place of what was ``held``."""
    settled, reserved, ends = MONEY.unpack(raw)
    return MONEY.pack(settled + cost, max(0, reserved - held), ends)


def is_over(code: int, raw: bytes, now: int, keep: int) -> bool:
    """Nothing is lost with it: a window that ended ``keep`` seconds ago, a log without a live entry."""
    if code == PARALLEL_CODE:
        return raw == PARALLEL.pack(0)
    if code == MONEY_CODE:
        ends: int = OWED.unpack(raw)[0] if len(raw) == OWED.size else MONEY.unpack(raw)[2]
        return 0 < ends * SECOND < now - keep * SECOND
    log = sliding.load(raw, now)
    return log[0] == 0 and log[1] == 0


def _windowed(log: Log, used: int, meter: Meter, now: int) -> float | None:
    if used < meter.limit:
        return 0.0
    left = sliding.until(log, used + 1 - meter.limit, now)
    return None if left is None else left / SECOND
