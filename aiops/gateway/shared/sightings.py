"""What was seen of providers: who is avoided, how fast each is, who failed. PURE; times are seconds ago, or left.

Durations alone go from one process or machine to another, never a time of day. Of two who say something of the same
the one counts that says it of later, so that what is heard twice, or by a detour, changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

MEASURED_SECONDS = 300.0  # a speed is known; then it is measured afresh: one bad time is not held against it for ever
FAILED_SECONDS = 60.0  # a deployment that failed counts as the slowest


class Avoided(NamedTuple):
    """``reason``: its number in ``board.REASONS``; for ``left`` seconds more; it began ``ago``."""

    reason: int
    left: float
    ago: float


class Measured(NamedTuple):
    seconds: float
    ago: float


@dataclass(frozen=True)
class Sightings:
    """``avoided`` by provider; ``measured`` and ``failed`` (how long ago) by deployment. What they are called says
    where they are, see ``worker/places``: the same name at another address is another one."""

    avoided: Mapping[str, Avoided] = field(default_factory=dict)
    measured: Mapping[str, Measured] = field(default_factory=dict)
    failed: Mapping[str, float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.avoided or self.measured or self.failed)

    def later(self, seconds: float) -> Sightings:
        """The same, so many seconds later, without what is over by then."""
        return Sightings(
            {
                name: Avoided(reason, left - seconds, ago + seconds)
                for name, (reason, left, ago) in self.avoided.items()
                if left > seconds
            },
            {
                name: Measured(took, ago + seconds)
                for name, (took, ago) in self.measured.items()
                if ago + seconds < MEASURED_SECONDS
            },
            {name: ago + seconds for name, ago in self.failed.items() if ago + seconds < FAILED_SECONDS},
        )

    def plain(self) -> dict[str, Any]:
        """JSON-ready. Rounded, so that nothing is said anew for a millisecond."""
        return {
            "avoided": {
                name: [reason, round(left, 3), round(ago, 3)] for name, (reason, left, ago) in self.avoided.items()
            },
            "measured": {name: [round(each.seconds, 4), round(each.ago, 3)] for name, each in self.measured.items()},
            "failed": {name: round(ago, 3) for name, ago in self.failed.items()},
        }

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Sightings:
        """Raises ValueError for what is not one."""
        try:
            return cls(
                {
                    str(name): Avoided(int(reason), float(left), float(ago))
                    for name, (reason, left, ago) in data["avoided"].items()
                },
                {str(name): Measured(float(took), float(ago)) for name, (took, ago) in data["measured"].items()},
                {str(name): float(ago) for name, ago in data["failed"].items()},
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"these are no sightings: {error!r}") from error


def together(several: Iterable[Sightings]) -> Sightings:
    """What all of them say."""
    found = list(several)
    return Sightings(
        _best((each.avoided for each in found), lambda one: one.left),
        _best((each.measured for each in found), lambda one: -one.ago),
        _best((each.failed for each in found), lambda ago: -ago),
    )


T = TypeVar("T")


def _best(several: Iterable[Mapping[str, T]], counts: Callable[[T], float]) -> dict[str, T]:
    found: dict[str, T] = {}
    for each in several:
        for name, one in each.items():
            if name not in found or counts(one) > counts(found[name]):
                found[name] = one
    return found
