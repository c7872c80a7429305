"""One group measured twice, before and after a change, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiops.spec.choosing.rules import Strategy
from aiops.verify.measure import Measured


@dataclass(frozen=True)
class Comparison:
    """``was`` and ``now``: how the group chose, and chooses."""

    group: str
    was: Strategy
    now: Strategy
    before: Measured
    after: Measured

    def lines(self) -> list[str]:
        """A small table for people."""
        providers = dict.fromkeys([*self.before.spread, *self.after.spread])
        rows = [
            ("", str(self.was), str(self.now)),
            ("requests", str(self.before.requests), str(self.after.requests)),
            ("errors", str(self.before.failed), str(self.after.failed)),
            ("p50", _seconds(self.before.percentile(0.5)), _seconds(self.after.percentile(0.5))),
            ("p95", _seconds(self.before.percentile(0.95)), _seconds(self.after.percentile(0.95))),
            *((name, _share(self.before, name), _share(self.after, name)) for name in providers),
        ]
        first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
        table = [f"  {name:<{first}}  {before:<{second}}  {after}".rstrip() for name, before, after in rows]
        reasons = [f"  error: {reason}" for reason in dict.fromkeys([*self.before.errors, *self.after.errors])]
        return [self.group, *table, *reasons]

    def to_json(self) -> dict[str, Any]:
        return {
            "group": self.group,
            "strategy": {"before": self.was.value, "after": self.now.value},
            "before": self.before.to_json(),
            "after": self.after.to_json(),
        }


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value * 1000:.0f} ms"


def _share(measured: Measured, provider: str) -> str:
    answers = measured.spread.get(provider, 0)
    return f"{answers} ({answers / max(len(measured.seconds), 1):.0%})"
