"""How one group of deployments answers: a number of tiny requests through the gateway, and what came of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiops.verify.check import Failed
from aiops.verify.client import Client
from aiops.verify.side_by_side import side_by_side

PROVIDER_HEADER = "x-aiops-provider"
PARALLEL = 4  # at a time: enough for a choice by load to show, too little to load a provider
UNNAMED = "?"  # an answer that does not say whose it is


@dataclass(frozen=True)
class Measured:
    """``seconds``: of each answer, in full, sorted. ``spread``: answers by provider. ``errors``: reasons, each once."""

    model: str
    seconds: tuple[float, ...]
    spread: Mapping[str, int] = field(default_factory=dict)
    failed: int = 0
    errors: tuple[str, ...] = ()

    @property
    def requests(self) -> int:
        return len(self.seconds) + self.failed

    def percentile(self, share: float) -> float | None:
        """Seconds within which that share of the answers came (nearest rank); None when there was no answer."""
        if not self.seconds:
            return None
        rank = max(1, -int(-share * len(self.seconds) // 1))
        return self.seconds[rank - 1]

    def to_json(self) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "errors": self.failed,
            "reasons": list(self.errors),
            "p50": _rounded(self.percentile(0.5)),
            "p95": _rounded(self.percentile(0.95)),
            "spread": dict(self.spread),
        }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)


def measure(client: Client, model: str, mode: str, requests: int, step: Callable[[], None] = lambda: None) -> Measured:
    """Ask ``requests`` times. Fallbacks are off: an error of the one that was chosen must not be hidden by another."""

    def one(_: int) -> tuple[float, str, str]:
        started = time.monotonic()
        try:
            answer = client.ask(model, mode)
        except Failed as failure:
            return 0.0, "", str(failure)
        finally:
            step()
        return time.monotonic() - started, answer.headers.get(PROVIDER_HEADER, UNNAMED), ""

    return summed(model, list(side_by_side(one, range(requests), PARALLEL)))


def summed(model: str, outcomes: Sequence[tuple[float, str, str]]) -> Measured:
    """``outcomes``: seconds, provider, and why it failed (empty when it did not)."""
    spread = Counter(provider for _, provider, error in outcomes if not error)
    reasons = tuple(dict.fromkeys(error for _, _, error in outcomes if error))
    return Measured(
        model,
        tuple(sorted(seconds for seconds, _, error in outcomes if not error)),
        dict(sorted(spread.items())),
        sum(bool(error) for _, _, error in outcomes),
        reasons,
    )
