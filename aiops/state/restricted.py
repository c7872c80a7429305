"""Whether a key may do less than all. PURE."""

from __future__ import annotations

from aiops.state.rules import ALL, TEAMS
from aiops.state.shapes import Account, Identity


def is_restricted(identity: Identity) -> bool:
    """Whether anything refuses this key something: a limit, a budget, a list of models. One in shadow does not."""
    return any(_restricts(account) for account in identity.accounts)


def _restricts(account: Account) -> bool:
    limits = (account.limits, *account.by_model.values())
    budgets = (account.budgets, *account.budgets_by_model.values())
    return (
        any((each.rpm, each.tpm, each.parallel) != (None, None, None) and not each.shadow for each in limits)
        or any(not budget.shadow for each in budgets for budget in each)
        or not (set(account.models) <= {ALL, TEAMS})
    )
