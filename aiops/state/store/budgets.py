"""Rows of budgets: limits that keys, teams, users and members are lent."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from aiops.state.store import changes, writing
from aiops.state.store.rows import Budget
from aiops.state.store.tables import budgets


def get(connection: Connection, id: str) -> Budget | None:
    return writing.one(connection, Budget, budgets, {"id": id})


def page(connection: Connection, *, size: int = 100) -> list[Budget]:
    """The newest first."""
    return writing.newest(connection, Budget, budgets, size)


def add(connection: Connection, budget: Budget) -> Budget:
    """The row as it is now. Raises ``writing.Exists``."""
    changes.note(connection, "budget", budget.id)
    return writing.add(connection, budgets, budget)


def replace(connection: Connection, budget: Budget) -> Budget:
    """Write ``budget`` over the row whose version it has; the row as it is now. Raises ``writing.Stale``."""
    changes.note(connection, "budget", budget.id)
    return writing.replace(connection, budgets, budget)


def remove(connection: Connection, id: str) -> bool:
    """The row; whether it was there. Who is lent it has no limit of it any more."""
    changes.note(connection, "budget", id)
    return writing.remove(connection, budgets, id=id)


def add_many(connection: Connection, many: Sequence[Budget]) -> None:
    """As they are, with the times that they have: an import. Raises ``writing.Exists``."""
    changes.note(connection, "all", "")
    writing.add_many(connection, budgets, many)
