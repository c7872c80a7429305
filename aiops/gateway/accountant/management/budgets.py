"""``/budget/*``"""

from __future__ import annotations

from typing import Any

from aiops.gateway.accountant.management.asked import Asked, texts
from aiops.gateway.accountant.management.errors import missing
from aiops.state.administration import budgets, view
from aiops.state.administration.requests import BudgetRequest
from aiops.state.store import budgets as stored
from aiops.state.store import rows

Json = dict[str, Any]
MOST = 10_000


def new(asked: Asked) -> Json:
    return view.budget(budgets.create(asked.connection, BudgetRequest.of(asked.given), asked.by).row, asked.now)


def update(asked: Asked) -> Json:
    row = _budget(asked, asked.need("budget_id", str))
    request = BudgetRequest.of(asked.without("budget_id"))
    return view.budget(budgets.change(asked.connection, row, request, asked.by).row, asked.now)


def info(asked: Asked) -> list[Json]:
    """Those of them that there are, as LiteLLM has it."""
    asked.only("budgets")
    found = (stored.get(asked.connection, each) for each in asked.need("budgets", texts))
    return [view.budget(row, asked.now) for row in found if row is not None]


def listed(asked: Asked) -> list[Json]:
    asked.only()
    return [view.budget(row, asked.now) for row in stored.page(asked.connection, size=MOST)]


def delete(asked: Asked) -> Json:
    asked.only("id")
    row = _budget(asked, asked.need("id", str))
    budgets.delete(asked.connection, row, asked.by)
    return view.budget(row, asked.now)


def _budget(asked: Asked, id: str) -> rows.Budget:
    found = stored.get(asked.connection, id)
    if found is None:
        raise missing(f"Budget not found, passed budget_id={id[:200]}", "budget_id")
    return found
