"""Budgets: limits that keys, teams, users and members are lent."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from sqlalchemy import Connection

from aiops.state.administration import journal, limits
from aiops.state.administration.journal import Actor, Done
from aiops.state.administration.request import Invalid, Problem, Unknown, said
from aiops.state.administration.requests import BudgetRequest
from aiops.state.store import budgets
from aiops.state.store.rows import Budget


def get(connection: Connection, id: str) -> Budget:
    """Raises Unknown."""
    found = budgets.get(connection, id)
    if found is None:
        raise Unknown("budget", id, [each.id for each in budgets.page(connection)])
    return found


def create(connection: Connection, asked: BudgetRequest, by: Actor) -> Done[Budget]:
    """Raises Invalid with every problem."""
    id = said(asked.id, None) or str(uuid4())
    row = replace(Budget(id=id), **asked.given())
    problems = [*limits.problems(connection, row)]
    if budgets.get(connection, id) is not None:
        problems.append(Problem("budget_id", f"is taken: there is a budget `{id}` already"))
    if problems:
        raise Invalid(problems)
    return journal.add(connection, row, by, "budgets create")


def change(connection: Connection, row: Budget, asked: BudgetRequest, by: Actor) -> Done[Budget]:
    """Raises Invalid with every problem."""
    problems = [*limits.problems(connection, replace(row, **asked.given()))]
    if problems:
        raise Invalid(problems)
    return journal.change(connection, row, asked.given(), by, "budgets update")


def delete(connection: Connection, row: Budget, by: Actor) -> int:
    """Whoever was lent it is not limited by it any more."""
    return journal.remove(connection, row, by, "budgets delete")
