"""Money in thousands of orders of events: workers and accountants killed at any point, questions to Redis that time out
with and without effect, Redis away or emptied, windows that turn over. The accountant, the counters, the fall-back and
the ledger are the real ones; what kills them, and the clock, are dice with a seed. Afterwards counter = ledger.

A game is over within the two hours for which counters remember ids that have ended: what nobody knows to be settled,
and is entered later than that, may be counted twice."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from aiops.gateway.accountant.database import Database, Unusable
from aiops.gateway.accountant.money import Money
from aiops.gateway.worker.front.reserve import unseeded
from aiops.state import rules
from aiops.state.counters import fallback
from aiops.state.counters.fallback import Fallback
from aiops.state.counters.meters import Counters, Demand, Granted, Meter, Unavailable, Unseeded
from aiops.state.counters.opened import Opened
from aiops.state.counters.shared import Shared
from aiops.state.shapes import Identity
from aiops.state.store import identity, keys, schema, usage
from aiops.state.store.open import engine, reading, writing
from aiops.state.store.rows import BudgetLimit, Key
from aiops.state.usage import settled
from aiops.state.usage.record import Usage
from aiops.state.usage.spool import Accepted, Record
from tests.kit.counters.clock import Clock

# `scripts/test soak` plays thousands.
GAMES = int(os.environ.get("AIOPS_INTERLEAVINGS", "25"))
STEPS = 80
PLENTY = 10**15
MODEL = "alpha"
DAY = 86_400


class Flaky:
    """Counters as Redis is over a network. ``down``: no answer and no effect. ``often``: of questions that time out,
    half of them when they have had their effect."""

    def __init__(self, real: Counters, dice: random.Random) -> None:
        self._real, self._dice = real, dice
        self.down, self.often = False, 0.0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def ask(*arguments: Any) -> Any:
            late = self._dice.random() < self.often
            if self.down or (late and self._dice.random() < 0.5):
                raise Unavailable("no answer", asked=not self.down)
            answer = await getattr(self._real, name)(*arguments)
            if late:
                raise Unavailable("no answer in time")
            return answer

        return ask


@dataclass
class Worker:
    """``under_way``: by id, what its spool has of those that have not ended; ``ended``: what is to be entered."""

    owner: str
    counters: Fallback
    under_way: dict[str, Record] = field(default_factory=dict)
    settles: dict[str, str] = field(default_factory=dict)
    ended: list[Usage] = field(default_factory=list)


class Game:
    """``directory`` has a database with its tables."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.dice = random.Random(seed)
        midnight = (int(time.time()) // DAY + 1) * DAY
        self.clock = Clock(midnight - 400.0)  # an hour and a day end
        self.redis = Shared(directory / "redis", size=1 << 20, clock=self.clock)
        self.own = Shared(directory / "own", size=1 << 20, clock=self.clock)
        self.database = Database(directory / "aiops.db", lambda store: None)
        self.flaky, self.numbers = Flaky(self.redis, self.dice), itertools.count()
        self.workers = [self.worker(), self.worker()]
        self.dead: list[Worker] = []
        self.meters: dict[str, Meter] = {}
        self.costs: dict[str, int] = {}

    async def start(self) -> None:
        await self.database.check()
        limits = (BudgetLimit(PLENTY, "1h"), BudgetLimit(PLENTY, "1d"))
        row = Key(id="k", name="sk-...k", max_budget=PLENTY, budget_limits=limits)
        with writing(self.database.engine) as connection:
            keys.add(connection, row, hashlib.sha256(b"k").hexdigest())
        self.accountant()

    def worker(self) -> Worker:
        return Worker(f"w{next(self.numbers)}", Fallback(self.flaky, self.own))  # type: ignore[arg-type]

    def accountant(self) -> None:
        """Another one, that remembers nothing."""
        self.opened = Opened(Fallback(self.flaky, self.own), self.flaky)  # type: ignore[arg-type]
        self.money = Money(self.database, self.opened)

    def who(self) -> Identity:
        with reading(self.database.engine) as connection:
            found = identity.by_id(connection, "k")
        assert found is not None
        return found

    # --- what happens -----------------------------------------------------------------------------------------

    async def play(self) -> None:
        often = (self.time_passes, self.signs, self.redis_changes)
        seldom = (self.begin_to_end, self.kill_worker, self.kill_accountant, self.bury)
        events = [*[self.ask] * 8, *[self.end] * 6, *[self.enter] * 4, *often * 2, *seldom]
        for _ in range(STEPS):
            await self.dice.choice(events)()

    async def ask(self) -> None:
        worker, who, now = self.dice.choice(self.workers), self.who(), self.clock.seconds
        counts, id = rules.counts(who, MODEL, now), f"r{next(self.numbers)}"
        demand = Demand(id=id, owner=worker.owner, meters=counts.meters, tokens=1, cost=self.dice.randint(0, 5000))
        for _ in range(3):
            decision = await worker.counters.reserve(demand)
            if not isinstance(decision, Unseeded):
                break
            try:
                await self.money.seed(unseeded(counts, decision), Opened(worker.counters, self.flaky))  # type: ignore[arg-type]
            except (Unusable, Unavailable):
                missing = {meter.name for meter in decision.meters}
                demand = replace(demand, meters=[meter for meter in demand.meters if meter.name not in missing])
        if isinstance(decision, Unseeded):
            settles = settled.unsure(settled.settled(settled.UNKNOWN, [meter.mark for meter in counts.meters]))
        else:
            assert isinstance(decision, Granted), f"refused although there is plenty: {decision}"
            marks = [level.meter.mark for level in decision.levels]
            settles = settled.settled(decision.epoch, marks)
        self.meters |= {meter.name: meter for meter in counts.meters}
        worker.settles[id] = settles
        worker.under_way[id] = Accepted(
            id=id, key="k", model=MODEL, path="/", started=int(now * 1e6), generation=1, replica="r"
        )

    async def begin_to_end(self) -> tuple[Worker, Usage] | None:
        """Its spool has what it used; whether it is settled, who is killed now does not know."""
        worker = self.dice.choice(self.workers)
        waiting = [each for each in worker.under_way.values() if isinstance(each, Accepted)]
        if not waiting:
            return None
        accepted = self.dice.choice(waiting)
        used = Usage(
            **vars(accepted), provider="p", served="s", seconds=1.0, first=None, status=200, outcome="answered",
            prompt_tokens=1, completion_tokens=1, cached_tokens=0, cost=self.dice.randint(1, 5000), estimated=False,
            epoch=worker.settles[accepted.id],
        )  # fmt: skip
        worker.under_way[used.id], self.costs[used.id] = used, used.cost or 0
        if self.dice.random() < 0.5:
            await worker.counters.settle(used.id, 2, used.cost or 0)
        return worker, used

    async def end(self) -> None:
        begun = await self.begin_to_end()
        if begun is None:
            return
        worker, used = begun
        done = await worker.counters.settle(used.id, 2, used.cost or 0)
        if done.epoch != settled.epoch(used.epoch):
            used = replace(used, epoch=settled.unsure(used.epoch))
        del worker.under_way[used.id]
        worker.ended.append(used)

    async def enter(self) -> None:
        """Some of what there is; it may be killed before it notes that, and enters it again."""
        worker = self.dice.choice([*self.workers, *self.dead])
        await self._enter(worker.ended)

    async def _enter(self, waiting: list[Usage]) -> None:
        batch = waiting[: self.dice.randint(1, 8)]
        if not batch:
            return
        try:
            await self.money.enter(batch)
        except Unusable:
            return
        if self.dice.random() < 0.8:
            del waiting[: len(batch)]

    async def kill_worker(self) -> None:
        place = self.dice.randrange(len(self.workers))
        self.dead.append(self.workers[place])
        self.workers[place] = self.worker()

    async def kill_accountant(self) -> None:
        self.accountant()

    async def bury(self) -> None:
        if not self.dead:
            return
        worker = self.dice.choice(self.dead)
        try:
            left = await self.money.settle(worker.owner, list(worker.under_way.values()))
            await self.money.enter(left)
        except Unusable:
            return  # all of it again
        if self.dice.random() < 0.8:  # else it is killed before it has removed the files
            worker.under_way.clear()
            if not worker.ended:
                self.dead.remove(worker)

    async def time_passes(self) -> None:
        self.clock.pass_by(self.dice.choice([0.01, 0.5, 1.5, 9.0, 11.0, 60.0, 240.0]))

    async def signs(self) -> None:
        worker = self.dice.choice(self.workers)
        await worker.counters.alive(worker.owner)

    async def redis_changes(self) -> None:
        match self.dice.randrange(6):
            case 0:
                self.flaky.down = True
            case 1:
                self.flaky.often = 0.3
            case 2:
                await self.redis.begin_epoch()
            case _:
                self.flaky.down, self.flaky.often = False, 0.0

    # --- afterwards -------------------------------------------------------------------------------------------

    async def come_to_rest(self) -> None:
        self.flaky.down, self.flaky.often = False, 0.0
        for _ in range(3):
            for worker in self.workers:
                await worker.counters.alive(worker.owner)
        self.dead, self.workers = [*self.dead, *self.workers], []
        while self.dead:
            await self.bury()
            for worker in list(self.dead):
                await self._enter(worker.ended)
        another = self.worker()
        for _ in range(
            3
        ):  # what a killed one had reserved without an answer is given back when it shows no sign of life
            self.clock.pass_by(11.0)
            await another.counters.alive(another.owner)

    async def require_exact(self) -> int:
        """How many counters were there to be compared."""
        with reading(self.database.engine) as connection:
            rows = {each.id: each for each in usage.page(connection, usage.Which(key="k"), size=10_000)}
        ended = {id: cost for id, cost in self.costs.items() if id in rows}
        assert ended == self.costs, "not in the ledger"
        assert {id: rows[id].cost for id in ended} == ended
        who, compared = self.who(), 0
        (account,) = who.accounts
        asked = [replace(meter, base=-1) for meter in self.meters.values()]
        for level in await self.redis.levels(asked):
            if level.used == -1:
                continue
            with reading(self.database.engine) as connection:
                spent = usage.spent(connection, "key", "k", max(level.meter.window, account.base_at), level.meter.ends)
            assert (level.used, level.reserved) == (spent, 0), level.meter.name
            compared += 1
        return compared


async def game(made: Game) -> int:
    """How many counters were compared."""
    try:
        await made.start()
        await made.play()
        await made.come_to_rest()
        return await made.require_exact()
    finally:
        made.database.close()
        made.redis.close()
        made.own.close()


@pytest.mark.timeout(300 + GAMES)
def test_whatever_is_killed_or_times_out_in_whatever_order_the_counters_are_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, compared = int(os.environ.get("AIOPS_SEED", "1")), 0
    empty = engine(tmp_path / "aiops.db")
    schema.migrate(empty)
    empty.dispose()  # the last one to leave writes the journal into the file
    for seed in range(first, first + GAMES):
        directory = tmp_path / str(seed)
        directory.mkdir()
        shutil.copy(tmp_path / "aiops.db", directory)
        try:
            made = Game(directory, seed)
            monkeypatch.setattr(fallback, "monotonic", lambda made=made: made.clock.seconds)
            compared += asyncio.run(game(made))
        except Exception as error:
            error.add_note(f"AIOPS_SEED={seed} AIOPS_INTERLEAVINGS=1 plays it again")
            raise
        shutil.rmtree(directory)
    assert compared >= GAMES
