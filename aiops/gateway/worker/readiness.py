"""Whether a worker is ready, and what it has to do without: the words of ``/_health/ready``, ``status`` and ``doctor``.

    ready       serves, and lacks nothing
    degraded    serves, and does something else than it was told to, because what it needs for that is away
    not_ready   can let in nobody but the master key
    draining    finishes what it has

From memory, so it is answered at once. How a store is the accountant says (``shared/accounting.py``: Store); how the
accountant is, and what a worker sees by itself, is looked at each second. PURE.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from aiops.gateway.shared.steady import WELL, Condition

Word = Literal["ready", "degraded", "not_ready", "draining"]
WORDS: Final[tuple[Word, ...]] = ("ready", "degraded", "not_ready", "draining")
SERVES: Final = frozenset({"ready", "degraded"})

_KEPT = "usage is kept on disk"
_CLOSED = f"every key but the master key is refused (503), {_KEPT}"
_OPEN = f"keys that were used lately go on working, others are refused (503), {_KEPT}"
_ALONE = "this gateway counts limits and budgets by itself, from what the ledger says"
_EFFECTS: Final = {
    "master": "the workers serve on, and nobody replaces one that dies",
    "litellm": "requests that need LiteLLM are refused (503), those of the direct lane are answered",
    "redis": _ALONE,
    "counters": "requests pass limits and budgets uncounted",
    "usage": "usage is kept in memory until the disk takes it",
}
KEYS: Final = ("accountant", "store")  # without these, what happens to keys is for the profile to say


@dataclass(frozen=True)
class Lack:
    """Of ``check``, since when (seconds since 1970), and what happens meanwhile. ``why``: not for strangers."""

    check: str
    condition: Condition
    effect: str

    def shown(self) -> dict[str, str]:
        """What anybody may know."""
        return {"check": self.check, "state": self.condition.state, "since": self.since, "effect": self.effect}

    def told(self) -> dict[str, str]:
        """What whoever runs the gateway wants to know."""
        return {**self.shown(), "why": self.condition.why}

    @property
    def since(self) -> str:
        return f"{datetime.fromtimestamp(self.condition.since, UTC):%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True)
class Readiness:
    status: Word
    checks: Mapping[str, str]
    lacks: tuple[Lack, ...] = ()

    @property
    def serves(self) -> bool:
        return self.status in SERVES

    def shown(self) -> dict[str, Any]:
        return {"status": self.status, "checks": dict(self.checks), "why": [each.shown() for each in self.lacks]}

    def told(self) -> dict[str, Any]:
        return {**self.shown(), "why": [each.told() for each in self.lacks]}

    def as_litellm(self) -> dict[str, str]:
        """What its ``/health/readiness`` says to anybody."""
        if self.status == "draining":
            return {"status": "shutting_down"}
        store = self.checks.get("store", "unknown")
        connected = {WELL: "connected", "unknown": "Not connected"}.get(store, "disconnected")
        return {"status": "healthy" if self.serves else "unhealthy", "db": connected}


def judge(
    conditions: Mapping[str, Condition],
    *,
    drains: bool,
    closed: bool,
    said: Mapping[str, str],
    notes: Sequence[str] = (),
) -> Readiness:
    """``closed``: a key that nobody can vouch for is refused. ``said``: what else is to be shown with the checks;
    ``notes``: under ``port``, what is open there and missing."""
    lacks = tuple(
        Lack(name, condition, _EFFECTS.get(name, _CLOSED if closed else _OPEN))
        for name, condition in conditions.items()
        if not condition.is_well
    )
    refuses = closed and any(each.check in KEYS for each in lacks)
    word: Word = "draining" if drains else "not_ready" if refuses else "degraded" if lacks else "ready"
    checks = {**said, **{name: condition.state for name, condition in conditions.items()}}
    if notes:
        checks["port"] = f"this LiteLLM has no {', '.join(notes)}"
    return Readiness(word, checks, lacks)
