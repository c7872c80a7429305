"""Counters in Redis, and the host's own while Redis cannot be used.

Each has an epoch of its own. What is reserved in the one is settled there and nowhere else:

- When Redis is ``Unavailable``, the host's counters decide, at once but for the first few, who find out. With each
  outage they begin a new epoch, for what was spent since the last one they have not seen: money is ``Unseeded`` there.
- A settlement that does not reach Redis is counted by nobody: ``Settled.epoch`` is empty, and so is that of the usage
  record, so that whoever ingests it into the ledger posts it to Redis. Until then the reservation stands for it.
- Such a settlement, and whatever may have been reserved without an answer, is said to Redis again when it is back.
  An id counts once there, whichever of the two comes first, so that both may come.

Should more be left to say than ``REMEMBERED``, the oldest are dropped: Redis gives back what they hold at their
deadline or when their owner is gone, and the ledger posts what they cost.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import monotonic

from aiops.state.counters.later import Later
from aiops.state.counters.meters import Counters, Decision, Demand, Granted, Level, Meter, Settled, Unavailable
from aiops.state.counters.shared import Shared

REMEMBERED = 20_000
AGAIN = 1.0  # seconds
AT_ONCE = 200  # of what is left to say, with each sign of life

Said = tuple[int, int] | None  # tokens and cost of a settlement; None: void


class Fallback:
    """``first``: Redis. ``own``: of the host, which are used for nothing else. For one process."""

    def __init__(self, first: Counters, own: Shared | Later) -> None:
        self._first, self._own = first, own
        self._in_own: set[str] = set()  # ids that live there
        self._unsaid: OrderedDict[str, Said] = OrderedDict()
        self._stood_in: float | None = None  # since when it has not been said again; None: Redis decides
        self._since: float | None = None

    @property
    def stands_in(self) -> float | None:
        """For how many seconds the host's own counters have decided; None: Redis does."""
        return None if self._since is None else monotonic() - self._since

    async def epoch(self) -> str:
        """Of those that decide now."""
        try:
            return await self._first.epoch()
        except Unavailable:
            await self._stand_in()
            return await self._own.epoch()

    async def reserve(self, demand: Demand) -> Decision:
        if demand.id not in self._in_own:
            try:
                decision = await self._first.reserve(demand)
            except Unavailable as error:
                if error.asked:
                    self._remember(demand.id, None)
            except BaseException:  # the client left: who knows whether it arrived
                self._remember(demand.id, None)
                raise
            else:
                self._stood_in = self._since = None
                return decision
        await self._stand_in()
        decision = await self._own.reserve(demand)
        if isinstance(decision, Granted):
            self._in_own.add(demand.id)
        return decision

    async def settle(self, id: str, tokens: int, cost: int) -> Settled:
        if id in self._in_own:
            self._in_own.discard(id)
            return await self._own.settle(id, tokens, cost)
        try:
            return await self._first.settle(id, tokens, cost)
        except BaseException as error:
            self._remember(id, (tokens, cost))
            if not isinstance(error, Unavailable):
                raise
            return Settled("", True)

    async def void(self, id: str) -> bool:
        if id in self._in_own:
            self._in_own.discard(id)
            return await self._own.void(id)
        try:
            return await self._first.void(id)
        except BaseException as error:
            self._remember(id, None)
            if not isinstance(error, Unavailable):
                raise
            return True

    async def post(self, id: str, costs: Mapping[str, int], ends: Mapping[str, int | None]) -> bool:
        """Unavailable without Redis, which has to know: say it again later. While the host's counters decide, they are
        told as well."""
        if self._stood_in is not None:
            await self._own.post(id, costs, ends)
        return await self._first.post(id, costs, ends)

    async def seed(self, meters: Mapping[str, int], ends: Mapping[str, int | None], epoch: str = "") -> None:
        """In the counters of that ``epoch``; without one, in those that decide now."""
        if epoch and epoch == await self._epoch_of_own():
            return await self._own.seed(meters, ends, epoch)
        try:
            await self._first.seed(meters, ends, epoch)
        except Unavailable:
            await self._own.seed(meters, ends, epoch)

    async def levels(self, meters: Sequence[Meter]) -> tuple[Level, ...]:
        try:
            return await self._first.levels(meters)
        except Unavailable:
            return await self._own.levels(meters)

    async def alive(self, owner: str) -> None:
        """Says to Redis too what is left to say. Never Unavailable for want of Redis."""
        with suppress(Unavailable):  # they may not even be open
            await self._own.alive(owner)
        try:
            await self._first.alive(owner)
            self._stood_in = self._since = None
            for _ in range(min(AT_ONCE, len(self._unsaid))):
                id, said = next(iter(self._unsaid.items()))
                await (self._first.void(id) if said is None else self._first.settle(id, *said))
                self._unsaid.pop(id, None)
        except Unavailable:
            await self._stand_in()

    async def gone(self, owner: str) -> None:
        with suppress(Unavailable):
            await self._own.gone(owner)
        try:
            await self._first.gone(owner)
        except Unavailable:
            return  # it gives back what nobody alive has reserved

    async def _epoch_of_own(self) -> str:
        try:
            return await self._own.epoch()
        except Unavailable:
            return ""

    async def _stand_in(self) -> None:
        now = monotonic()
        self._since = self._since or now
        if self._stood_in is None or now - self._stood_in >= AGAIN:
            await self._own.stand_in()
            self._stood_in = now

    def _remember(self, id: str, said: Said) -> None:
        self._unsaid[id] = said
        if len(self._unsaid) > REMEMBERED:
            self._unsaid.popitem(last=False)
