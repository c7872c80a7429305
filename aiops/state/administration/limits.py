"""What is wrong with limits taken together, and with what they name: what no field tells alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Table, select

from aiops.state.administration.request import Problem
from aiops.state.store import rows, tables


def problems(connection: Connection, row: rows.Limited) -> Iterable[Problem]:
    """Of a row as it would be."""
    budget = getattr(row, "budget_id", None)
    if budget is not None and not exists(connection, tables.budgets, budget):
        yield Problem("budget_id", f"names no budget: there is no `{budget}`")
    elif budget is None and row.budget_duration is not None and row.max_budget is None:
        yield Problem("budget_duration", "has no effect without `max_budget`")
    for window in row.budget_limits or ():
        if row.max_budget is not None and window.budget_duration == row.budget_duration:
            yield Problem("budget_limits", f"has a budget of {window.budget_duration}, as `max_budget` is one")


def exists(connection: Connection, table: Table, id: str) -> bool:
    return connection.scalar(select(table.c.id).where(table.c.id == id)) is not None


def anew(row: rows.Counted, spent: int, at: int) -> dict[str, Any]:
    """Its counters begin again, under another epoch, with ``spent`` nano-dollars; what was before stays in the
    ledger. ``at``: microseconds."""
    return {"base_spend": spent, "base_at": at, "base_windows": None, "epoch": row.reset_epoch()}
