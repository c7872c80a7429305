"""What was counted in the last minutes, and nothing older: a ring, bounded in time and in names."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from aiops.gateway.shared import tallies

KEPT = tallies.MINUTES
MOST_NAMES = 2_000  # of each minute: names that only a pattern knows are the client's, and have no end
OTHERS = "(other names)"
OUTCOMES = 20  # of each deployment, to judge it by: an outage outweighs the successes before it within a few requests


@dataclass
class Tally:
    """``tokens`` of prompts and answers."""

    answered: int = 0
    failed: int = 0
    tokens: int = 0


@dataclass(frozen=True)
class Served:
    """Who served a name: ``fell_from`` is the provider that failed before, ``failure`` how."""

    model: str
    provider: str
    rule: str
    fell_from: str = ""
    failure: str = ""


@dataclass
class _Minute:
    number: int = -1
    served: dict[Served, Tally] = field(default_factory=dict)
    deployments: dict[str, Tally] = field(default_factory=dict)


class Minutes:
    """All times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._ring = [_Minute() for _ in range(KEPT)]
        self._outcomes: dict[str, deque[tuple[float, bool]]] = {}

    def ended(self, now: float, deployment: str, *, well: bool) -> None:
        """A request to it was answered, or failed."""
        tally = self.deployment(now, deployment)
        tally.answered += well
        tally.failed += not well
        self._outcomes.setdefault(deployment, deque(maxlen=OUTCOMES)).append((now, well))

    def deployment(self, now: float, deployment: str) -> Tally:
        """To count in. There are as many as are configured."""
        return self._at(now).deployments.setdefault(deployment, Tally())

    def served(self, now: float, who: Served) -> Tally:
        """To count in."""
        served = self._at(now).served
        if who not in served and len(served) >= MOST_NAMES:
            who = Served(OTHERS, who.provider, "")
        return served.setdefault(who, Tally())

    def tokens_this_minute(self, now: float, deployment: str) -> int:
        tally = self._at(now).deployments.get(deployment)
        return 0 if tally is None else tally.tokens

    def success_rate(self, now: float, deployment: str) -> float:
        """Of its latest outcomes, none older than the minutes kept; 1.0 when there is none."""
        lately = [well for when, well in self._outcomes.get(deployment, ()) if when > now - KEPT * 60]
        return sum(lately) / len(lately) if lately else 1.0

    def all_served(self, now: float) -> dict[Served, Tally]:
        """The sums over the minutes kept."""
        total: dict[Served, Tally] = {}
        for _, served in self.each(now):
            for who, tally in served.items():
                sum_of = total.setdefault(who, Tally())
                sum_of.answered += tally.answered
                sum_of.failed += tally.failed
                sum_of.tokens += tally.tokens
        return total

    def each(self, now: float) -> Iterator[tuple[float, dict[Served, Tally]]]:
        """What was counted in each minute kept, and when it began."""
        return ((minute.number * 60.0, minute.served) for minute in self._lately(now))

    def _at(self, now: float) -> _Minute:
        number = int(now // 60)
        minute = self._ring[number % KEPT]
        if minute.number != number:
            minute = self._ring[number % KEPT] = _Minute(number)
        return minute

    def _lately(self, now: float) -> Iterator[_Minute]:
        oldest = int(now // 60) - KEPT
        return (minute for minute in self._ring if minute.number > oldest)
