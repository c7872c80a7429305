"""How much of each budget is used, as the ledger has it: what is under way is in the counters alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, tzinfo

from sqlalchemy import Connection

from aiops.state.administration.journal import identity
from aiops.state.shapes import Kind
from aiops.state.store import budgets, rows, usage
from aiops.state.store.clock import SECOND
from aiops.state.store.rows import Budget, BudgetLimit, Counted
from aiops.state.windows import Window, window


@dataclass(frozen=True)
class Spent:
    """Nano-dollars: in the window of the account's first budget, and ever."""

    window: int = 0
    total: int = 0


@dataclass(frozen=True)
class Used:
    """A budget, or that of one ``model``, in the window that is now. ``spent``: nano-dollars."""

    limit: BudgetLimit
    model: str | None
    window: Window
    spent: int

    @property
    def left(self) -> int:
        return max(0, self.limit.max_budget - self.spent)


def lent(connection: Connection, row: Counted) -> Budget | None:
    """The budget that fills in what the row itself leaves open."""
    return budgets.get(connection, row.budget_id) if row.budget_id is not None else None


def spent(connection: Connection, row: Counted, lent: Budget | None, now: float, zone: tzinfo = UTC) -> Spent:
    """``now``: seconds since 1970."""
    first = next(iter(_budgets(row, lent)), None)
    current = window(first.budget_duration if first else row.budget_duration, now, zone)
    total = usage.spent(connection, _kind(row), identity(row), 0, None) + row.spent_before()
    if current.ends is None and not row.base_at:
        return Spent(total, total)  # all of it is one window
    return Spent(_within(connection, row, current, None), total)


def used(connection: Connection, row: Counted, lent: Budget | None, now: float, zone: tzinfo = UTC) -> tuple[Used, ...]:
    """Of each of its budgets, those of single models last."""
    found = [_used(connection, row, each, None, now, zone) for each in _budgets(row, lent)]
    by_model = row.model_max_budget or (lent.model_max_budget if lent is not None else None) or {}
    for model, several in by_model.items():
        found += [_used(connection, row, each, model, now, zone) for each in several]
    return tuple(found)


def _used(
    connection: Connection, row: Counted, limit: BudgetLimit, model: str | None, now: float, zone: tzinfo
) -> Used:
    current = window(limit.budget_duration, now, zone)
    return Used(limit, model, current, _within(connection, row, current, model, limit.budget_duration))


def _within(
    connection: Connection, row: Counted, current: Window, model: str | None, duration: str | None = None
) -> int:
    """What was set as spent counts in the window it was set in; before it nothing does. It is of no model."""
    begins, base, set_at = float(current.begins), 0, row.base_at / SECOND
    if set_at >= begins:
        begins, base = set_at, row.base_of(duration) if model is None else 0
    return base + usage.spent(connection, _kind(row), identity(row), begins, current.ends, model=model)


def _budgets(row: Counted, lent: Budget | None) -> list[BudgetLimit]:
    """Its own, and what it leaves open as its budget has it."""
    most = row.max_budget if row.max_budget is not None or lent is None else lent.max_budget
    duration = row.budget_duration if row.budget_duration is not None or lent is None else lent.budget_duration
    more = row.budget_limits if row.budget_limits is not None or lent is None else lent.budget_limits
    return [*([BudgetLimit(most, duration)] if most is not None else []), *(more or ())]


def _kind(row: Counted) -> Kind:
    if isinstance(row, rows.Key):
        return "key"
    if isinstance(row, rows.Team):
        return "team"
    return "user" if isinstance(row, rows.User) else "member"
