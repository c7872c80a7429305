"""Rows as values, with the names of their columns: read, replaced with ``dataclasses.replace``, and written whole.

None is NULL: not limited here, or as the budget row says. Times are microseconds since 1970 UTC, money nano-dollars.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from sqlalchemy import RowMapping

R = TypeVar("R", bound="Limited")
Json = Mapping[str, Any]


@dataclass(frozen=True)
class BudgetLimit:
    """``max_budget`` nano-dollars in each window of ``budget_duration`` (``1d``; None: ever)."""

    max_budget: int
    budget_duration: str | None = None


@dataclass(frozen=True, kw_only=True)
class Limited:
    """What every one of them has. ``version`` grows with each change; 0: not written yet, and so are its times."""

    rpm_limit: int | None = None
    tpm_limit: int | None = None
    max_parallel_requests: int | None = None
    max_budget: int | None = None
    budget_duration: str | None = None
    budget_limits: tuple[BudgetLimit, ...] | None = None
    soft_budget: int | None = None
    model_rpm_limit: Mapping[str, int] | None = None
    model_tpm_limit: Mapping[str, int] | None = None
    model_max_budget: Mapping[str, tuple[BudgetLimit, ...]] | None = None
    metadata: Json | None = None
    created_at: int = 0
    created_by: str | None = None
    updated_at: int = 0
    updated_by: str | None = None
    version: int = 0


@dataclass(frozen=True, kw_only=True)
class Counted(Limited):
    """Whom requests are counted for. Counters are of an ``epoch``, see ``state/shapes.Account``: above 0 it grows, and
    ``base_spend`` is what a reset set; at 0 and below it falls, and that is what was spent before aiops counted."""

    budget_id: str | None = None
    models: tuple[str, ...] | None = None
    blocked: bool = False
    shadow: bool = False
    epoch: int = 0
    base_spend: int = 0
    base_at: int = 0
    base_windows: Mapping[str, int] | None = None

    def next_epoch(self) -> int:
        """For other counters that begin with the same base."""
        return self.epoch + 1 if self.epoch > 0 else self.epoch - 1

    def reset_epoch(self) -> int:
        """For other counters that begin with another base."""
        return max(self.epoch, 0) + 1

    def spent_before(self) -> int:
        """Nano-dollars that are in no ledger of aiops."""
        return self.base_spend if self.epoch <= 0 else 0

    def base_of(self, duration: str | None) -> int:
        """Nano-dollars of the budget with this duration; as ``state/shapes.Account`` has it."""
        return (self.base_windows or {}).get(duration or "ever", self.base_spend)


@dataclass(frozen=True, kw_only=True)
class Key(Counted):
    id: str
    name: str
    alias: str | None = None
    team_id: str | None = None
    user_id: str | None = None
    key_type: str | None = None
    admin: bool = False
    allowed_routes: tuple[str, ...] | None = None
    weight: float = 1.0
    tags: tuple[str, ...] | None = None
    expires_at: int | None = None
    revoked_at: int | None = None


@dataclass(frozen=True, kw_only=True)
class Team(Counted):
    """``member_budget_id``: of members that have no budget of their own."""

    id: str
    alias: str | None = None
    member_budget_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Member(Counted):
    team_id: str
    user_id: str
    role: str = "user"


@dataclass(frozen=True, kw_only=True)
class User(Counted):
    id: str
    alias: str | None = None
    email: str | None = None
    role: str | None = None


@dataclass(frozen=True, kw_only=True)
class Budget(Limited):
    id: str


def read(kind: type[R], row: RowMapping) -> R:
    """From the columns of a row, which may have more of them."""
    return kind(**{field.name: _read(field.name, row[field.name]) for field in fields(kind)})


def written(row: Limited) -> dict[str, Any]:
    """To the columns of a row."""
    return {field.name: _written(field.name, getattr(row, field.name)) for field in fields(row)}


def parsed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Some columns as ``written`` has them, to what a row holds."""
    return {name: _read(name, value) for name, value in values.items()}


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """The way back."""
    return {name: _written(name, value) for name, value in values.items()}


def budget_limits(value: Any) -> tuple[BudgetLimit, ...]:
    return tuple(BudgetLimit(each["max_budget"], each.get("budget_duration")) for each in value or ())


def budgets_by_model(value: Any) -> dict[str, tuple[BudgetLimit, ...]]:
    return {model: budget_limits(limits) for model, limits in (value or {}).items()}


def _read(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name == "budget_limits":
        return budget_limits(value)
    if name == "model_max_budget":
        return budgets_by_model(value)
    return tuple(value) if isinstance(value, list) else value


def _written(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name == "budget_limits":
        return [_limit(each) for each in value]
    if name == "model_max_budget":
        return {model: [_limit(each) for each in limits] for model, limits in value.items()}
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


def _limit(limit: BudgetLimit) -> dict[str, Any]:
    return {"max_budget": limit.max_budget, "budget_duration": limit.budget_duration}
