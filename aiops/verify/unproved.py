"""What is served although nobody has seen it answer: kept with the generation, so that it can be said later."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self, cast

from aiops.verify.check import Check

Reason = Literal["absent", "slow", "wrong", "not asked"]
"""It did not answer; not in time; it refused, and is served because that was asked for; it was spared on purpose."""


@dataclass(frozen=True)
class Unproved:
    """``models``: served names of the ``provider`` that were not proved, sorted; empty: it has none of its own.

    ``why``: in one sentence, for people.
    """

    provider: str
    models: tuple[str, ...]
    reason: Reason
    why: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        """The inverse of ``to_json``. Raises KeyError."""
        return cls(data["provider"], tuple(data["models"]), cast(Reason, data["reason"]), data["why"])

    def __str__(self) -> str:
        models = f" ({', '.join(self.models[:8])}{', …' if len(self.models) > 8 else ''})" if self.models else ""
        return f"{self.provider}{models}: {self.why}"


def unproved(checks: Iterable[Check]) -> tuple[Unproved, ...]:
    """What these checks leave unproved, by provider and reason; the provider's own words rather than the gateway's."""
    found: dict[tuple[str, str], list[Check]] = {}
    for check in checks:
        if check.status == "skip" and check.cause and check.about is not None:
            found.setdefault((check.about.provider, check.cause), []).append(check)
    return tuple(
        Unproved(provider, _models(group), cast(Reason, cause), group[0].detail)
        for (provider, cause), group in sorted(found.items())
    )


def _models(checks: Iterable[Check]) -> tuple[str, ...]:
    return tuple(sorted({check.about.name for check in checks if check.about is not None and check.about.name}))


def still(before: Sequence[Unproved], checks: Iterable[Check], served: Collection[tuple[str, str]]) -> list[Unproved]:
    """Of what was unproved ``before`` the part that these checks leave so, and that is ``served`` (provider, name)."""
    proved = {
        (check.about.provider, check.about.name)
        for check in checks
        if check.status == "pass" and check.about is not None and check.id.startswith("answer:")
    }
    kept = []
    for each in before:
        models = tuple(
            name for name in each.models if (each.provider, name) in served and (each.provider, name) not in proved
        )
        if models:
            kept.append(replace(each, models=models))
    return kept
