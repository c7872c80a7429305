"""Counters against the model: whatever is asked of both in whatever order, they answer the same."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aiops.state.counters.meters import Counters, Demand, Granted, Level, Meter, Refused, Unseeded
from tests.kit.counters.clock import SECOND, Clock
from tests.kit.counters.model import Model

T = TypeVar("T")
LENGTH = 100  # seconds of a window of money
FIXED = (
    Meter(name="key:A:rpm", what="requests", limit=3),
    Meter(name="key:B:rpm", what="requests", limit=200, shown="coarse"),
    Meter(name="key:S:rpm", what="requests", limit=1, shadow=True),
    Meter(name="key:A:tpm", what="tokens", limit=100),
    Meter(name="key:B:tpm", what="tokens", limit=1000),
    Meter(name="key:S:tpm", what="tokens", limit=50, shadow=True),
    Meter(name="key:A:parallel", what="parallel", limit=2),
    Meter(name="team:T:parallel", what="parallel", limit=4),
    Meter(name="key:A:usd:0", what="money", limit=1000),
    Meter(name="key:S:usd:0", what="money", limit=300, shadow=True),
)
OWNERS = st.sampled_from(["one", "two", "three"])
AMOUNTS = st.one_of(st.sampled_from([0, 1, 99, 100, 101, 663]), st.integers(0, 1500))
PAUSES = st.one_of(
    st.sampled_from([0.0, 0.000001, 0.5, 1.0, 5.0, 10.0, 10.5, 59.999999, 60.0, 61.0, 400.0]), st.floats(0, 120)
)


class Machine(RuleBasedStateMachine):
    """``made``: given a clock, the counters and how to end them; they are empty."""

    made: Callable[[asyncio.AbstractEventLoop, Clock], tuple[Counters, Callable[[], None]]]

    @initialize()
    def start(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.clock = Clock()
        self.real, self.end = type(self).made(self.loop, self.clock)
        self.clock.pass_by(0.25)
        self.model = Model(self.clock, self.ask(self.real.epoch()), 1_800_000_000 * SECOND)
        self.numbers = itertools.count()
        self.ids: list[str] = []
        self.meters: dict[str, Meter] = {meter.name: meter for meter in FIXED}

    def ask(self, question: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(question)

    def windowed(self) -> list[Meter]:
        begins = int(self.clock.seconds // LENGTH) * LENGTH
        made = [
            Meter(name=f"{who}:{begins}", what="money", limit=500, window=begins, ends=begins + LENGTH, base=base)
            for who, base in (("key:A:usd:100s", 0), ("team:T:usd:100s", 40))
        ]
        self.meters |= {meter.name: meter for meter in made}
        return made

    @rule(data=st.data(), owner=OWNERS, tokens=AMOUNTS, cost=AMOUNTS, seconds=st.sampled_from([1.0, 30.0, 3600.0]))
    def reserve(self, data: st.DataObject, owner: str, tokens: int, cost: int, seconds: float) -> None:
        known = [*FIXED, *self.windowed()]
        meters = data.draw(st.lists(st.sampled_from(known), unique=True, min_size=1, max_size=8))
        id = f"id-{next(self.numbers)}"
        demand = Demand(id=id, owner=owner, meters=meters, tokens=tokens, cost=cost, seconds=seconds)
        self.ids.append(id)
        self.reserve_both(demand)

    @rule(data=st.data(), cost=AMOUNTS)
    def reserve_with_money(self, data: st.DataObject, cost: int) -> None:
        """One that passes more often than most."""
        missing = {meter.name: 0 for meter in FIXED if meter.what == "money" and meter.name not in self.model.settled}
        self.ask(self.real.seed(missing, {}))
        self.model.seed(missing, {})
        meters = [meter for meter in [*FIXED, *self.windowed()] if meter.what in ("money", "tokens")]
        chosen = data.draw(st.lists(st.sampled_from(meters), unique=True, min_size=1, max_size=3))
        id = f"id-{next(self.numbers)}"
        self.ids.append(id)
        self.reserve_both(Demand(id=id, owner="one", meters=chosen, tokens=20, cost=cost))

    @rule(data=st.data(), owner=OWNERS)
    def reserve_again(self, data: st.DataObject, owner: str) -> None:
        if self.ids:
            id = data.draw(st.sampled_from(self.ids))
            if id in self.model.state:
                self.reserve_both(Demand(id=id, owner=owner, meters=FIXED[:4], tokens=5, cost=5))

    def reserve_both(self, demand: Demand) -> None:
        expected = self.model.reserve(demand)
        assert near(self.ask(self.real.reserve(demand))) == near(expected)

    @rule(data=st.data(), tokens=AMOUNTS, cost=AMOUNTS)
    def settle(self, data: st.DataObject, tokens: int, cost: int) -> None:
        id = self.some(data)
        assert self.ask(self.real.settle(id, tokens, cost)) == self.model.settle(id, tokens, cost)

    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        id = self.some(data)
        assert self.ask(self.real.void(id)) == self.model.void(id)

    @rule(data=st.data(), cost=AMOUNTS)
    def post(self, data: st.DataObject, cost: int) -> None:
        names = [meter.name for meter in [*FIXED, *self.windowed()] if meter.what == "money"]
        costs = dict.fromkeys(data.draw(st.lists(st.sampled_from(names), unique=True, max_size=3)), cost)
        ends = {name: self.meters[name].ends for name in costs}
        id = self.some(data)
        assert self.ask(self.real.post(id, costs, ends)) == self.model.post(id, costs, ends)

    @rule(data=st.data(), spent=AMOUNTS)
    def seed(self, data: st.DataObject, spent: int) -> None:
        names = [meter.name for meter in [*FIXED, *self.windowed()] if meter.what == "money"]
        meters = dict.fromkeys(data.draw(st.lists(st.sampled_from(names), unique=True, max_size=4)), spent)
        ends = {name: self.meters[name].ends for name in meters}
        self.ask(self.real.seed(meters, ends))
        self.model.seed(meters, ends)

    @rule(owner=OWNERS)
    def alive(self, owner: str) -> None:
        self.ask(self.real.alive(owner))
        self.model.alive(owner)

    @rule(owner=OWNERS)
    def gone(self, owner: str) -> None:
        self.ask(self.real.gone(owner))
        self.model.gone(owner)

    @rule(seconds=PAUSES)
    def time_passes(self, seconds: float) -> None:
        self.clock.pass_by(seconds)

    def some(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from([*self.ids, "nobody's"]))

    @invariant()
    def both_stand_the_same(self) -> None:
        if not hasattr(self, "model"):
            return
        meters = list(self.meters.values())
        levels = self.ask(self.real.levels(meters))
        assert near(levels) == near(self.model.levels(meters))
        for level in levels:
            assert level.used >= 0
            assert level.reserved >= 0
            if level.meter.what == "money":
                assert level.used == self.model.settled.get(level.meter.name, level.meter.base) + level.reserved

    def teardown(self) -> None:
        if hasattr(self, "end"):
            self.end()
            self.loop.close()


def near(said: Any) -> Any:
    """Times to the microsecond, as a double has them."""
    if isinstance(said, float):
        return round(said, 5)
    if isinstance(said, Level):
        return Level(said.meter, said.used, said.reserved, near(said.resets))
    if isinstance(said, Granted):
        return Granted(said.epoch, near(said.levels), near(said.over))
    if isinstance(said, Refused):
        return Refused(near(said.level), near(said.wait), said.for_good, near(said.levels))
    if isinstance(said, Unseeded):
        return said
    return tuple(near(each) for each in said) if isinstance(said, tuple) else said
