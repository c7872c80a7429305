"""The counters' contract in plain Python: lists, dictionaries and sums, nothing that is quick."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from aiops.state.counters.meters import (
    EXACT,
    OWNER_SECONDS,
    SLIDING,
    Decision,
    Demand,
    Granted,
    Level,
    Meter,
    Refused,
    Settled,
    Unseeded,
)
from tests.kit.counters.clock import SECOND

SPAN = SLIDING * SECOND
State = Literal["live", "settled", "voided", "expired"]


@dataclass
class Held:
    owner: str
    deadline: int
    amounts: dict[str, int]
    meters: dict[str, Meter]


@dataclass
class Model:
    """``clock``: microseconds. ``counted``: by name of a meter, when something counts from, and how much of it."""

    clock: Callable[[], int]
    epoch: str
    birth: int
    counted: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    settled: dict[str, int] = field(default_factory=dict)
    state: dict[str, State] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    leases: dict[str, int] = field(default_factory=dict)
    owed: set[str] = field(default_factory=set)
    left: dict[str, set[str]] = field(default_factory=dict)  # by id, the counters that were not there

    def reserved(self, name: str) -> int:
        return sum(each.amounts.get(name, 0) for id, each in self.held.items() if self.state[id] == "live")

    def live(self, name: str) -> list[tuple[int, int]]:
        return [(when, many) for when, many in self.counted.get(name, []) if when > self.clock() - SPAN]

    def used(self, meter: Meter) -> int:
        if meter.what == "money":
            return self.settled.get(meter.name, meter.base) + self.reserved(meter.name)
        return sum(many for _, many in self.live(meter.name)) + self.reserved(meter.name)

    def room(self, meter: Meter, needed: int) -> float | None:
        """Seconds until that much has left the window by itself."""
        gone = 0
        for when, many in self.live(meter.name):
            gone += many
            if gone >= needed:
                return max(0, when + SPAN - self.clock()) / SECOND
        return None

    def until_end(self, meter: Meter) -> float | None:
        return None if meter.ends is None else max(0, meter.ends * SECOND - self.clock()) / SECOND

    def level(self, meter: Meter) -> Level:
        used = self.used(meter)
        resets: float | None
        if used < meter.limit:
            resets = 0.0
        elif meter.what == "money":
            resets = self.until_end(meter)
        elif meter.what == "parallel":
            resets = None
        else:
            resets = self.room(meter, used + 1 - meter.limit)
        return Level(meter, used, self.reserved(meter.name), resets)

    def levels(self, meters: Sequence[Meter]) -> tuple[Level, ...]:
        return tuple(self.level(meter) for meter in meters)

    def wants(self, meter: Meter, demand: Demand) -> int:
        """What has to fit below the limit."""
        if meter.what == "tokens":
            return max(1, min(demand.tokens, meter.limit))
        return demand.cost if meter.what == "money" else 1

    def full(self, meter: Meter, demand: Demand) -> bool:
        if meter.what == "money":
            if self.settled.get(meter.name, meter.base) >= meter.limit:
                return True
            if self.reserved(meter.name) == 0:
                return False
        return self.used(meter) + self.wants(meter, demand) > meter.limit

    def spent(self, meter: Meter) -> bool:
        return meter.what == "money" and self.settled.get(meter.name, meter.base) >= meter.limit

    def wait(self, meter: Meter, demand: Demand) -> float | None:
        if meter.what == "money":
            return self.until_end(meter) if self.spent(meter) else None
        if meter.what == "parallel":
            return None
        return self.room(meter, self.used(meter) + self.wants(meter, demand) - meter.limit)

    def reserve(self, demand: Demand) -> Decision:
        now = self.clock()
        if demand.id in self.state:
            if self.state[demand.id] == "live" and self.held[demand.id].owner != demand.owner:
                self.held[demand.id] = replace(self.held[demand.id], owner=demand.owner)
                self.own(demand.owner, now)
            return Granted(self.epoch, self.levels(demand.meters))
        missing = tuple(
            meter
            for meter in demand.meters
            if meter.what == "money"
            and meter.name not in self.settled
            and (meter.name in self.owed or meter.window * SECOND < self.birth)
        )
        if missing:
            return Unseeded(missing, self.epoch)
        full = [meter for meter in demand.meters if self.full(meter, demand)]
        refusing = [meter for meter in full if not meter.shadow]
        if refusing:
            waits = [self.wait(meter, demand) for meter in refusing]
            known = [wait for wait in waits if wait is not None]
            wait = max(known) if len(known) == len(waits) else None
            return Refused(self.level(refusing[0]), wait, self.spent(refusing[0]), self.levels(demand.meters))
        over = self.levels(full)
        amounts = {}
        for meter in demand.meters:
            if meter.what == "requests":
                self.count(meter, 1, now)
            elif meter.what == "tokens":
                amounts[meter.name] = min(demand.tokens, meter.limit)
            elif meter.what == "parallel":
                amounts[meter.name] = 1
            else:
                left = meter.limit - self.settled.setdefault(meter.name, meter.base)
                cut = self.reserved(meter.name) == 0 and left > 0
                amounts[meter.name] = min(demand.cost, left) if cut else demand.cost
        deadline = now + int(demand.seconds * SECOND)
        self.held[demand.id] = Held(demand.owner, deadline, amounts, {each.name: each for each in demand.meters})
        self.state[demand.id] = "live"
        self.own(demand.owner, now)
        return Granted(self.epoch, self.levels(demand.meters), over)

    def own(self, owner: str, now: int) -> None:
        if self.leases.get(owner, 0) < now - int(OWNER_SECONDS * SECOND) // 2:
            self.leases[owner] = now

    def count(self, meter: Meter, many: int, when: int) -> None:
        entries = self.counted.setdefault(meter.name, [])
        busy = sum(each for _, each in self.live(meter.name)) >= EXACT
        if meter.limit > EXACT or (busy and (meter.what == "requests" or meter.shadow)):
            when = (when // SECOND + 1) * SECOND
        entries.append((max([when, *(before for before, _ in entries)]), many))

    def settle(self, id: str, tokens: int, cost: int) -> Settled:
        state = self.state.get(id)
        if state is None or state == "voided":
            return Settled("", False)
        if state == "settled":
            return Settled(self.epoch, False)
        self.state[id] = "settled"
        for meter in self.held[id].meters.values():
            if meter.what == "money":
                self.settled[meter.name] += cost
            elif meter.what == "tokens" and tokens > 0:
                self.count(meter, tokens, self.clock() if meter.shadow else self.paid_off(meter, tokens))
        return Settled(self.epoch, True)

    def paid_off(self, meter: Meter, tokens: int) -> int:
        """The first moment at which they have room in the window."""
        now, entries = self.clock(), self.live(meter.name)
        moments = [now, *(when + SPAN for when, _ in entries if when + SPAN > now)]
        for moment in moments:
            if sum(many for when, many in entries if when + SPAN > moment) + min(tokens, meter.limit) <= meter.limit:
                beyond = max(0, tokens - meter.limit)
                return moment + -(-beyond * SPAN // meter.limit)
        raise AssertionError("when all have left there is room")

    def void(self, id: str) -> bool:
        was = self.state.get(id)
        if was != "settled":
            self.state[id] = "voided"
        return was == "live"

    def post(self, id: str, costs: Mapping[str, int], ends: Mapping[str, int | None]) -> bool:
        again = self.state.get(id) == "settled"
        self.state[id] = "settled"
        due = {name: cost for name, cost in costs.items() if not again or name in self.left.get(id, set())}
        there = due.keys() & self.settled.keys()
        for name in there:
            self.settled[name] += due[name]
        self.owed |= due.keys() - there
        self.left[id] = (self.left.get(id, set()) | due.keys()) - there
        return bool(there) or not again

    def seed(self, meters: Mapping[str, int], ends: Mapping[str, int | None]) -> None:
        for name, spent in meters.items():
            self.settled.setdefault(name, spent)

    def alive(self, owner: str) -> None:
        now = self.clock()
        self.leases[owner] = now
        late = {who for who, seen in self.leases.items() if seen < now - OWNER_SECONDS * SECOND}
        for id, each in self.held.items():
            if self.state[id] == "live" and (each.deadline <= now or each.owner in late | self.nobody(each.owner)):
                self.state[id] = "expired"
        for who in late:
            del self.leases[who]

    def nobody(self, owner: str) -> set[str]:
        return set() if owner in self.leases else {owner}

    def gone(self, owner: str) -> None:
        self.leases.pop(owner, None)
        for id, each in self.held.items():
            if self.state[id] == "live" and each.owner == owner:
                self.state[id] = "expired"
