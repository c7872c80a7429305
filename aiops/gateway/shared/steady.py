"""How something is that is asked again and again, said so that it does not flap. PURE: the clock is an argument.

It counts as lost after ``FAILURES`` in a row, and as well after ``SUCCESSES``: one that restarts is no news. Whoever is
lost again soon after has to prove itself for longer, twice as often each time, until it has stayed for a while.
"""

from __future__ import annotations

from dataclasses import dataclass

WELL = "pass"
LOST = "lost"
UNKNOWN = "unknown"

FAILURES = 3
SUCCESSES = 2
MOST_SUCCESSES = 32
STAYED_SECONDS = 60.0
APART_SECONDS = 0.5  # of two successes that count as two


@dataclass(frozen=True)
class Condition:
    """``state``: WELL, LOST, UNKNOWN, or another word of who says it. ``since``: seconds since 1970. ``why``: for
    whoever runs the gateway; addresses may be in it, and no secrets."""

    state: str = UNKNOWN
    since: float = 0.0
    why: str = ""

    @property
    def is_well(self) -> bool:
        return self.state == WELL


class Steady:
    """``now`` in all of it: seconds since 1970. Each answer says whether the state has changed. ``failures`` and
    ``successes``: in a row, until it has."""

    def __init__(
        self,
        state: str = UNKNOWN,
        now: float = 0.0,
        why: str = "",
        *,
        failures: int = FAILURES,
        successes: int = SUCCESSES,
    ) -> None:
        self.is_now = Condition(state, now, why)
        self._failures, self._successes = failures, successes
        self._counted = 0.0
        self._failed_since: float | None = None
        self._in_a_row = 0  # of failures while it is well, of successes while it is not
        self._needed = successes
        self._returned: float | None = None

    def well(self, now: float) -> bool:
        """It has answered."""
        if self.is_now.is_well:
            self._in_a_row, self._failed_since = 0, None
            return False
        if self._in_a_row and now - self._counted < APART_SECONDS:
            return False
        self._counted = now
        self._in_a_row += 1
        if self.is_now.state == LOST:
            if self._in_a_row < self._needed:
                return False
            self._returned = now
        self._become(Condition(WELL, now))
        return True

    def failed(self, now: float, why: str) -> bool:
        """It has not. What is not known yet is lost at once."""
        if self.is_now.state == LOST:
            self._in_a_row = 0
            self.is_now = Condition(LOST, self.is_now.since, why)
            return False
        self._failed_since = self._failed_since if self._failed_since is not None else now
        self._in_a_row += 1
        if self.is_now.is_well and self._in_a_row < self._failures:
            return False
        soon = self._returned is not None and self._failed_since - self._returned < STAYED_SECONDS
        self._needed = min(2 * self._needed, MOST_SUCCESSES) if soon else self._successes
        self._become(Condition(LOST, self._failed_since, why))
        return True

    def says(self, state: str, now: float, why: str) -> bool:
        """It has answered, and what it says of itself is neither: that is so at once."""
        changed = self.is_now.state != state
        if changed:
            self._become(Condition(state, now, why))
        return changed

    def _become(self, condition: Condition) -> None:
        self.is_now = condition
        self._in_a_row, self._failed_since = 0, None
