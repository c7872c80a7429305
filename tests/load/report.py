"""What the clients saw, per kind of client."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

EXAMPLES = 5


@dataclass
class KindReport:
    """One kind of client. ``failures`` counts by exception or status; a truncated stream is not also a failure.

    ``latencies`` are seconds: to the whole answer, or to the first piece of content for a stream.
    """

    requests: int = 0
    streams: bool = False
    failures: Counter[str] = field(default_factory=Counter)
    truncated: int = 0
    examples: list[str] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)

    def failed(self, reason: str, detail: str) -> None:
        self.failures[reason] += 1
        self._example(f"{reason}: {detail}")

    def cut(self, detail: str) -> None:
        self.truncated += 1
        self._example(f"truncated: {detail}")

    def _example(self, text: str) -> None:
        """The first five that differ: five times the same refusal explains nothing."""
        if len(self.examples) < EXAMPLES and text[:300] not in self.examples:
            self.examples.append(text[:300])

    def as_dict(self) -> dict[str, Any]:
        ordered = sorted(self.latencies)
        return {
            "requests": self.requests,
            "failed": self.failures.total(),
            "failures": dict(self.failures),
            "truncated": self.truncated,
            "examples": self.examples,
            "latency_ms": {
                name: round(quantile(ordered, share) * 1000, 1)
                for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
            },
        }


def quantile(ordered: list[float], share: float) -> float:
    """The nearest-rank quantile of sorted values; 0 when there are none."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


@dataclass
class LoadReport:
    """The whole run. ``generations`` counts the answers by the ``x-aiops-generation`` they carried ("none" without)."""

    kinds: dict[str, KindReport] = field(default_factory=dict)
    generations: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def _sum(self, of: Callable[[KindReport], int]) -> int:
        return sum(of(kind) for kind in self.kinds.values())

    @property
    def requests(self) -> int:
        return self._sum(lambda kind: kind.requests)

    @property
    def streams(self) -> int:
        return self._sum(lambda kind: kind.requests if kind.streams else 0)

    @property
    def failed(self) -> int:
        return self._sum(lambda kind: kind.failures.total())

    @property
    def truncated(self) -> int:
        return self._sum(lambda kind: kind.truncated)

    @property
    def clean(self) -> bool:
        """Something was asked, and all of it was answered to the end."""
        return self.requests > 0 and not self.failed and not self.truncated

    def as_dict(self) -> dict[str, Any]:
        return {
            "seconds": round(self.seconds, 2),
            "requests": self.requests,
            "streams": self.streams,
            "failed": self.failed,
            "truncated": self.truncated,
            "generations": dict(sorted(self.generations.items())),
            "kinds": {name: kind.as_dict() for name, kind in self.kinds.items()},
        }
