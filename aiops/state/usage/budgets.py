"""The budgets of keys, each with its counter in the window that is now, and what the ledger says of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from aiops.state import rules
from aiops.state.counters.meters import Meter
from aiops.state.shapes import Account, Budget
from aiops.state.store import identity, usage


@dataclass(frozen=True)
class Counted:
    """``meter``: of the counter. ``model``: the budget is for this one alone."""

    meter: Meter
    account: Account
    model: str | None


def of_keys(connection: Connection, ids: Iterable[str], now: float) -> list[Counted]:
    """Of these keys, their teams, users and members, each once. ``now``: seconds since 1970."""
    found: dict[str, Counted] = {}
    for id in ids:
        whose = identity.by_id(connection, id)
        for account in whose.accounts if whose is not None else ():
            several: list[tuple[Budget, str | None]] = [(budget, None) for budget in account.budgets]
            for model, budgets in account.budgets_by_model.items():
                several += [(budget, model) for budget in budgets]
            for budget, of in several:
                meter = rules.money_meter(account, budget, now, of)
                found.setdefault(meter.name, Counted(meter, account, of))
    return [*found.values()]


def spent(connection: Connection, of: Counted) -> int:
    """What its counter has to say, in nano-dollars: by the ledger, and what it began with."""
    begins = max(float(of.meter.window), of.account.base_at)
    account = of.account
    return of.meter.base + usage.spent(connection, account.kind, account.id, begins, of.meter.ends, model=of.model)
