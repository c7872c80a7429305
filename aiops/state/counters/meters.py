"""What a request is counted on, and what comes of it. PURE; the rules hold for every implementation of ``Counters``.

- Everything or nothing: ``reserve`` counts on all meters of a demand, or refuses and writes nothing.
- A reservation is a record with an id. Settling it, voiding it and its expiry are idempotent; of all of them only the
  first has an effect, but for a settlement after an expiry, which still counts what was used.
- At every instant a money counter is what was settled plus the live reservations.
- A reservation lives as long as its owner (a worker) says it is alive, and no longer than its own deadline.
- ``requests`` and ``tokens`` are counted in a window that slides over the last ``SLIDING`` seconds: up to ``EXACT`` by
  the request, above in buckets of a second. Requests stay counted when the reservation is voided; tokens do not.
- A reservation of tokens is cut to the meter's limit. What was used beyond it is a debt that is worked off at the rate
  of the limit, so that one request of 663 tokens at 100 a minute is followed by 6.6 minutes of silence.
- A reservation of money is cut to what is left when nobody else holds a reservation there: a key is refused for good
  when it has spent its budget, and never because a guess was high. Beyond that it has to fit.
- A money counter that is not there is ``Unseeded`` if its window began before these counters did, or before its budget
  was given (``since``): what the ledger says has to be put in first. In a window that began later it starts at
  ``base``.
- The clock is the counters' own: the host's for shared memory, Redis' for Redis, never the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

SLIDING = 60
EXACT = 120  # requests a minute
OWNER_SECONDS = 10.0  # without a sign of life, until what an owner reserved is given back

What = Literal["requests", "tokens", "parallel", "money"]


@dataclass(frozen=True, kw_only=True)
class Meter:
    """``name`` says whose and what, and is stable: ``key:ID:rpm``, ``team:ID:tpm:gpt-4o``. That of a money meter has
    the account's epoch, the duration and the begin of the window in it: ``key:ID:usd:3:30d:1793491200``.

    ``limit``: how many at most; for money nano-dollars. ``window`` and ``ends``: of money, seconds since 1970 (``ends``
    None: never begins anew). ``base``: what a money counter starts from in this window. ``since``: when the budget was
    changed last, seconds since 1970; ``mark``: what the ledger calls the counter, see ``usage/settled.py``. ``shadow``:
    over it is told, not refused. ``shown``: for people and headers, e.g. ``key``, ``team``, ``model_per_key``.
    """

    name: str
    what: What
    limit: int
    shown: str = "key"
    window: int = 0
    ends: int | None = None
    base: int = 0
    since: int = 0
    mark: str = ""
    shadow: bool = False

    @property
    def known_from(self) -> int:
        """Counters that were there then, seconds since 1970, know all that its window has; 0: the ledger alone does."""
        return self.window if self.since < self.window else 0


@dataclass(frozen=True, kw_only=True)
class Demand:
    """``id``: of the request. ``owner``: of the process. ``seconds``: it lives at most. ``tokens`` and ``cost`` (nano-
    dollars) as estimated."""

    id: str
    owner: str
    meters: Sequence[Meter]
    tokens: int = 0
    cost: int = 0
    seconds: float = 3600.0


class Level(NamedTuple):
    """How a meter stands: ``used`` is settled and reserved together, ``reserved`` the latter alone. ``resets``: seconds
    until there is room for one more (0: there is), None when that is not known (parallel, and money of no window)."""

    meter: Meter
    used: int
    reserved: int
    resets: float | None

    @property
    def left(self) -> int:
        return max(0, self.meter.limit - self.used)


@dataclass(frozen=True)
class Granted:
    """``levels`` of all meters, this request included. ``over``: those in shadow that would have refused it."""

    epoch: str
    levels: tuple[Level, ...] = ()
    over: tuple[Level, ...] = ()


@dataclass(frozen=True)
class Refused:
    """By the first meter that is full. ``wait``: seconds until it would pass if nobody else asks; None: not known.
    ``for_good``: nothing that is under way can give room in this window (money that is spent)."""

    level: Level
    wait: float | None
    for_good: bool = False
    levels: tuple[Level, ...] = ()


@dataclass(frozen=True)
class Unseeded:
    """Money meters whose counters need to be told what the ledger says first, see ``Counters.seed``. ``epoch``: of
    those counters."""

    meters: tuple[Meter, ...]
    epoch: str = ""


Decision = Granted | Refused | Unseeded


@dataclass(frozen=True)
class Settled:
    """What came of a settlement, true when it was the ``first`` of its id. ``epoch``: of the counters that it is
    counted in, for the usage record; empty when none of them have it (they were lost, or cannot be reached), which has
    the ledger ``post`` it."""

    epoch: str
    first: bool

    def __bool__(self) -> bool:
        return self.first


class Counters(Protocol):
    """Implementations raise ``Unavailable`` when they cannot be reached in time."""

    async def epoch(self) -> str:
        """A random name that these counters got when they were made. Another one: they were lost meanwhile."""
        ...

    async def reserve(self, demand: Demand) -> Decision:
        """Asked again with the same id, nothing more is counted: it is the owner's who asked last, until the same
        deadline. Meters of one demand have different names."""
        ...

    async def settle(self, id: str, tokens: int, cost: int) -> Settled:
        """What was really used. False when this id was settled or voided before, and nothing is changed."""
        ...

    async def void(self, id: str) -> bool:
        """Nothing was used. False when there is no such reservation: should it still arrive, it counts nothing."""
        ...

    async def post(self, id: str, costs: Mapping[str, int], ends: Mapping[str, int | None]) -> bool:
        """Count a request of the ledger that was settled in other counters, on the money counters that are there, by
        name. What it holds here is given back. A counter that is not there is ``Unseeded`` from now on, whenever its
        window began: the ledger has something for it. False when this id was settled before, and nothing is changed.

        Of an id that is posted again the ledger had no row when those counters were seeded that were not there the
        first time: on them it is counted now."""
        ...

    async def seed(self, meters: Mapping[str, int], ends: Mapping[str, int | None], epoch: str = "") -> None:
        """What the ledger says of money counters, by name; of those that are there already nothing is changed.
        ``epoch``: of the counters that wanted it; nothing is changed when they are no longer there."""
        ...

    async def alive(self, owner: str) -> None:
        """To be said each second or so. Also gives back what those reserved who no longer say it."""
        ...

    async def gone(self, owner: str) -> None:
        """Give back at once what it had reserved."""
        ...

    async def levels(self, meters: Sequence[Meter]) -> tuple[Level, ...]:
        """How they stand, for people; nothing is counted. A money counter that is not there stands at its base."""
        ...


class Unavailable(Exception):
    """The counters do not answer in time. ``asked``: what was said may have had its effect all the same."""

    def __init__(self, why: str, asked: bool = True) -> None:
        super().__init__(why)
        self.asked = asked
