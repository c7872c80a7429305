"""One measured number, its limit, and how they are shown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Figure:
    """``limit`` is the most ``value`` may be, or the least when ``at_least``; None: told, not judged."""

    name: str
    value: float
    unit: str = ""
    limit: float | None = None
    at_least: bool = False
    detail: str = ""
    samples: tuple[float, ...] = field(default=(), repr=False)

    @property
    def ok(self) -> bool:
        if self.limit is None:
            return True
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def as_dict(self) -> dict[str, Any]:
        rounded = {"value": round(self.value, 4), "samples": [round(sample, 4) for sample in self.samples]}
        return asdict(self) | rounded | {"ok": self.ok}


def median(
    name: str, samples: Sequence[float], unit: str = "s", limit: float | None = None, detail: str = ""
) -> Figure:
    spread = f"{len(samples)} rounds, {min(samples):.3g} to {max(samples):.3g}"
    detail = f"{spread}; {detail}" if detail else spread
    return Figure(name, statistics.median(samples), unit, limit, detail=detail, samples=tuple(samples))


def table(figures: Sequence[Figure]) -> str:
    """Aligned lines for people."""
    rows = [("figure", "value", "limit", "", "")]
    for figure in figures:
        bound = "" if figure.limit is None else f"{'≥' if figure.at_least else '≤'} {figure.limit:g} {figure.unit}"
        verdict = "" if figure.limit is None else "ok" if figure.ok else "MISSED"
        rows.append((figure.name, f"{figure.value:.4g} {figure.unit}", bound, verdict, figure.detail))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join("  ".join(f"{row[i]:<{widths[i]}}" for i in range(4)) + f"  {row[4]}".rstrip() for row in rows)
