"""How fast a deployment answers, smoothed, and forgotten when it is not asked any more."""

from __future__ import annotations

from dataclasses import dataclass

from aiops.gateway.shared.sightings import MEASURED_SECONDS

SMOOTHING = 0.2  # the share of the newest measurement
FIRST = 3  # measurements until it counts as known: the best of them, because the first answer is often a slow start


@dataclass
class Latency:
    """Seconds to the first token (streams) or to the answer; ``now`` is monotonic."""

    seconds: float = 0.0
    count: int = 0
    measured: float = 0.0

    def add(self, seconds: float, now: float) -> None:
        if now - self.measured >= MEASURED_SECONDS:
            self.count = 0
        self.measured = now
        self.count += 1
        if self.count == 1:
            self.seconds = seconds
        elif self.count <= FIRST:
            self.seconds = min(self.seconds, seconds)
        else:
            self.seconds += SMOOTHING * (seconds - self.seconds)

    def known(self, now: float) -> float | None:
        """None: measured too seldom, or too long ago."""
        return self.seconds if self.count >= FIRST and now - self.measured < MEASURED_SECONDS else None
