"""Room for a request in every limit and budget it counts on, before anybody answers it; put right when it has ended."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from functools import partial

from aiops.gateway.shared import accounting
from aiops.gateway.worker import prices
from aiops.gateway.worker.front.asked import Asked
from aiops.gateway.worker.front.beyond import nothing
from aiops.gateway.worker.front.estimate import AnswerLengths, at_most, estimate
from aiops.gateway.worker.prices import Deployment, Prices, Tokens, Ways
from aiops.state import money, rules
from aiops.state.counters.meters import Counters, Demand, Granted, Level, Meter, Refused, Unavailable, Unseeded
from aiops.state.counters.shared import Shared
from aiops.state.rules import Counts, Refusal
from aiops.state.shapes import Identity
from aiops.state.usage import settled

SEEDINGS = 3  # a window may turn over meanwhile
REMEMBERED = 8192
SHADOW_SECONDS = 60.0  # between two lines about the same meter

MOST_UNSETTLED = 100_000

NOTHING = Counts()
Seeder = Callable[[Sequence[accounting.Unseeded], str], Awaitable[None]]
"""Tells the counters of this epoch what the ledger says. Raises Unavailable when nobody can."""


@dataclass
class Reservation:
    """``settles``: the money counters that it is reserved in, as the ledger says it (``usage/settled.py``). ``held``:
    there is something to put right at the end. ``is_opened``: by a door that the operator opened, where nobody knows
    what is asked."""

    id: str
    asked: Asked
    estimated: Tokens
    deployments: tuple[Deployment, ...]
    held: bool = False
    settles: str = ""
    levels: tuple[Level, ...] = ()
    counts: Counts = NOTHING
    is_opened: bool = False


class Reserve:
    """One per worker. ``ways``: where a name leads to. ``say`` writes a line for the operator."""

    def __init__(
        self,
        counters: Counters | None,
        book: Prices,
        ways: Callable[[str], Ways],
        owner: str,
        say: Callable[[str], None],
        zone: tzinfo = UTC,
    ) -> None:
        self.lengths = AnswerLengths()
        self.seeder: Seeder | None = None
        self.over_budget_status = rules.OVER_BUDGET
        self.over_in_shadow: Counter[str] = Counter()
        self.live = 0
        """Requests that hold room now."""
        self._counters = counters
        self._book = book
        self._ways = ways
        self._owner = owner
        self._say = say
        self._zone = zone
        self._is_away = False
        self._is_unseeded = False
        self._unsettled: dict[str, tuple[int, int]] = {}
        self._said: dict[str, float] = {}
        self._deployments: dict[str, tuple[Deployment, ...]] = {}
        self._counts: dict[tuple[str, str], tuple[Identity, Counts]] = {}

    @property
    def waits(self) -> bool:
        """Whether to count is to wait for somebody."""
        return not isinstance(self._counters, Shared | None)

    @property
    def available(self) -> bool:
        return not self._is_away

    async def reserve(self, id: str, identity: Identity, asked: Asked, now: float) -> Reservation | Refusal:
        """``now``: seconds since 1970."""
        deployments = self.deployments(asked.model)
        estimated = estimate(asked, deployments, self.lengths)
        given = Reservation(id, asked, estimated, deployments)
        if not identity.accounts or self._counters is None:
            return given
        counts = given.counts = self.counts(identity, asked.model, now)
        if not counts.meters:
            return given
        cost = 0
        if counts.has_budget and not asked.counts_only:
            most = at_most(asked, deployments, estimated)
            known = prices.dearest((self._book.of(one, asked.model) for one in deployments), most)
            if known is None and deployments and counts.may_refuse_by_cost:
                return rules.no_price(identity, asked.model)
            cost = min(known or 0, money.MOST)
        demand = Demand(id=id, owner=self._owner, meters=counts.meters, tokens=estimated.total, cost=cost)
        try:
            decision = await self._decide(self._counters, demand, counts)
        except Unavailable as error:
            # Nobody is refused for a fault of ours. The ledger has what was spent, and the counters are told later.
            self._away(str(error))
            given.settles = settled.unsure(settled.settled(settled.UNKNOWN, _marks(counts.meters)))
            return given
        if self._is_away:
            self._is_away = False
            self._say("limits and budgets are counted again")
        if isinstance(decision, Refused):
            return rules.over(identity, counts.counted, decision, now, self.over_budget_status, estimated.total)
        given.held = True
        self.live += 1
        given.levels = decision.levels
        given.settles = settled.settled(decision.epoch, _marks(level.meter for level in decision.levels))
        for level in decision.over:
            self._note_shadow(level)
        return given

    async def settle(self, given: Reservation, tokens: Tokens, cost: int | None) -> str:
        """What was really used. Returns which money counters have it, as the ledger is to say it. Counters that are
        away now are told later, see ``sign_of_life``."""
        if not given.held or self._counters is None:
            return given.settles
        given.held = False
        self.live -= 1
        epoch = await self._settle(self._counters, given.id, tokens.total, cost or 0)
        return given.settles if epoch == settled.epoch(given.settles) else settled.unsure(given.settles)

    def pass_on(self, given: Reservation) -> Callable[[], Awaitable[None]]:
        """Another worker reserves it anew, by the same id, which counts nothing more. Nothing is given back before;
        what is returned gives it back, if no other worker does that."""
        if not given.held or self._counters is None:
            return nothing
        given.held = False
        self.live -= 1
        return partial(self._void, self._counters, given.id)

    async def _void(self, counters: Counters, id: str) -> None:
        with contextlib.suppress(Unavailable):  # it expires
            await counters.void(id)

    async def sign_of_life(self) -> None:
        """To be given each second: what this worker has reserved stays reserved."""
        if self._counters is None:
            return
        try:
            await self._counters.alive(self._owner)
        except Unavailable as error:
            self._away(str(error))
            return
        waiting, self._unsettled = self._unsettled, {}
        for id, (tokens, cost) in waiting.items():
            await self._settle(self._counters, id, tokens, cost)

    async def leave(self) -> None:
        """What is reserved still is given back."""
        if self._counters is not None:
            with contextlib.suppress(Unavailable):
                await self._counters.gone(self._owner)

    async def _settle(self, counters: Counters, id: str, tokens: int, cost: int) -> str:
        try:
            return (await counters.settle(id, tokens, cost)).epoch
        except Unavailable as error:
            self._away(str(error))
            if len(self._unsettled) < MOST_UNSETTLED:
                self._unsettled[id] = tokens, cost
            return ""

    def deployments(self, name: str) -> tuple[Deployment, ...]:
        """Those that answer a name, its fallbacks left out."""
        found = self._deployments.get(name)
        if found is None:
            if len(self._deployments) >= REMEMBERED:
                self._deployments.clear()
            found = self._deployments[name] = self._book.answering(name, self._ways(name).deployments)
        return found

    def counts(self, identity: Identity, model: str, now: float) -> Counts:
        """The same as before until a window is over, or the key is another one."""
        at = (identity.hash, model)
        known = self._counts.get(at)
        if known is not None and known[0] is identity and now < known[1].until:
            return known[1]
        if len(self._counts) >= REMEMBERED:
            self._counts.clear()
        found = rules.counts(identity, model, now, self._zone)
        self._counts[at] = identity, found
        return found

    async def _decide(self, counters: Counters, demand: Demand, counts: Counts) -> Granted | Refused:
        """Raises Unavailable. Budgets of which nobody can say what was spent before are left out, and that is said."""
        for _ in range(SEEDINGS):
            decision = await counters.reserve(demand)
            if not isinstance(decision, Unseeded):
                return decision
            try:
                if self.seeder is None:
                    raise Unavailable("nobody is there to say it")
                await self.seeder(unseeded(counts, decision), decision.epoch)
                self._note_unseeded("")
            except Unavailable as error:
                self._note_unseeded(str(error))
                missing = {meter.name for meter in decision.meters}
                demand = replace(demand, meters=[meter for meter in demand.meters if meter.name not in missing])
        raise Unavailable("what was spent before is not told to the counters")

    def _note_unseeded(self, why: str) -> None:
        if why and not self._is_unseeded:
            self._say(f"what was spent before is not known: {why}; requests pass such budgets uncounted")
        if bool(why) != self._is_unseeded and not why:
            self._say("what was spent before is known again")
        self._is_unseeded = bool(why)

    def _away(self, why: str) -> None:
        if not self._is_away:
            self._is_away = True
            self._say(f"limits and budgets cannot be counted: {why}; requests pass uncounted")

    def _note_shadow(self, level: Level) -> None:
        name = level.meter.name
        self.over_in_shadow[name] += 1
        now = time.monotonic()
        if now - self._said.get(name, -SHADOW_SECONDS) >= SHADOW_SECONDS:
            if len(self._said) >= REMEMBERED:
                self._said.clear()
            self._said[name] = now
            self._say(f"in shadow: a request is over `{name}`, {level.used} of {level.meter.limit}, and is not refused")


def _marks(meters: Iterable[Meter]) -> Iterable[str]:
    return (meter.mark for meter in meters if meter.what == "money")


def unseeded(counts: Counts, decision: Unseeded) -> list[accounting.Unseeded]:
    """What the accountant is asked for."""
    wanted = {meter.name for meter in decision.meters}
    return [
        accounting.Unseeded(
            name=each.meter.name,
            kind=each.account.kind,
            account=each.account.id,
            begins=max(each.meter.window, each.account.base_at),
            ends=each.meter.ends,
            model=each.model,
            base=each.meter.base,
            mark=each.meter.mark,
        )
        for each in counts.counted
        if each.meter.name in wanted
    ]
