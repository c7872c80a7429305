"""What other workers and gateways have seen of the providers, as this worker knows it: kept in its own memory, told by
the accountant, and over by itself when nobody tells it any more. Times are seconds of the board's clock."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from aiops.gateway.shared.sightings import MEASURED_SECONDS, Sightings


class _Avoided(NamedTuple):
    until: float
    reason: int


class Timed(NamedTuple):
    """``seconds`` that an answer took ``when``."""

    when: float
    seconds: float

    def known(self, now: float) -> float | None:
        return self.seconds if now - self.when < MEASURED_SECONDS else None


class Elsewhere:
    """``places``: what each provider is called where others listen; ``provider_of`` each deployment. Whoever is avoided
    since before this worker began is not avoided by it: the proofs of its generation have asked it."""

    def __init__(self, clock: Callable[[], float], provider_of: Mapping[str, str]) -> None:
        self._clock = clock
        self._began = clock()
        self._provider_of = provider_of
        self._places: Mapping[str, str] = {}
        self._avoided: dict[str, _Avoided] = {}
        self._measured: dict[str, Timed] = {}
        self._failed: dict[str, float] = {}

    def know(self, places: Mapping[str, str]) -> None:
        """Without it nothing that is heard is about anybody here."""
        self._places = places

    def hear(self, seen: Sightings) -> None:
        """All there is, in the place of what was heard before."""
        now = self._clock()
        avoided = ((name, seen.avoided.get(place)) for name, place in self._places.items())
        self._avoided = {
            name: _Avoided(now + one.left, one.reason)
            for name, one in avoided
            if one is not None and now - one.ago >= self._began
        }
        self._measured, self._failed = {}, {}
        for deployment in self._provider_of:
            called = self.called(deployment)
            if called is None:
                continue
            if called in seen.measured:
                measured = seen.measured[called]
                self._measured[deployment] = Timed(now - measured.ago, measured.seconds)
            if called in seen.failed:
                self._failed[deployment] = now - seen.failed[called]

    def place(self, provider: str) -> str | None:
        return self._places.get(provider)

    def called(self, deployment: str) -> str | None:
        """What a deployment is called where others listen."""
        place = self._places.get(self._provider_of.get(deployment, ""))
        return None if place is None else f"{deployment} {place.rpartition(' ')[2]}"

    def avoided(self, provider: str) -> tuple[float, int]:
        """For how many seconds more, and why; 0.0 when it is not."""
        found = self._avoided.get(provider)
        return (0.0, 0) if found is None else (max(0.0, found.until - self._clock()), found.reason)

    def measured(self, deployment: str) -> Timed | None:
        return self._measured.get(deployment)

    def failed(self, deployment: str) -> float:
        """When; ``-inf``: not lately."""
        return self._failed.get(deployment, -math.inf)
