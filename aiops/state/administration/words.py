"""Rows in a person's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from aiops.state import money
from aiops.state.administration.journal import plain
from aiops.state.administration.spend import Used
from aiops.state.store import rows
from aiops.state.store.clock import SECOND
from aiops.state.store.rows import BudgetLimit, Counted, Key, Limited

_DURATIONS = {"1d": "a day", "7d": "a week", "1w": "a week", "30d": "a month", "1mo": "a month", "1h": "an hour"}


def may(row: Limited, teams: Mapping[str, str] = {}) -> str:
    """What it may, in one line. ``teams``: how people call them, by id."""
    return ", ".join(_may(row, teams)) or "no limits"


def _may(row: Limited, teams: Mapping[str, str]) -> Iterator[str]:
    if isinstance(row, Counted) and row.models:
        yield "models " + " ".join(row.models)
    if row.rpm_limit is not None:
        yield f"{row.rpm_limit:,} requests a minute"
    if row.tpm_limit is not None:
        yield f"{row.tpm_limit:,} tokens a minute"
    if row.max_parallel_requests is not None:
        yield f"{row.max_parallel_requests} at once"
    own = [BudgetLimit(row.max_budget, row.budget_duration)] if row.max_budget is not None else []
    for each in (*own, *(row.budget_limits or ())):
        yield budget(each)
    for model, several in (row.model_max_budget or {}).items():
        yield f"of {model} " + " and ".join(map(budget, several))
    for what, limits in (("requests", row.model_rpm_limit), ("tokens", row.model_tpm_limit)):
        for model, limit in (limits or {}).items():
            yield f"of {model} {limit:,} {what} a minute"
    if isinstance(row, Counted) and row.budget_id is not None:
        yield f"as budget {row.budget_id}"
    if isinstance(row, Key):
        yield from _of_key(row, teams)
    if isinstance(row, Counted) and row.shadow:
        yield "limits in shadow: told, not enforced"


def _of_key(row: Key, teams: Mapping[str, str]) -> Iterator[str]:
    if row.team_id is not None:
        yield f"team {teams.get(row.team_id, row.team_id)}"
    if row.user_id is not None:
        yield f"user {row.user_id}"
    if row.tags:
        yield "tags " + " ".join(row.tags)
    if row.allowed_routes:
        yield "routes " + " ".join(row.allowed_routes)
    if row.admin:
        yield "administers keys and teams"
    if row.expires_at is not None:
        yield f"until {moment(row.expires_at)}"


def budget(limit: BudgetLimit) -> str:
    return f"{money.shown(limit.max_budget)} {each(limit.budget_duration)}"


def used(of: Used) -> str:
    """What was used of one budget."""
    model = f" on {of.model}" if of.model else ""
    ends = f", begins anew {moment(of.window.ends * SECOND)}" if of.window.ends is not None else ""
    return f"{money.shown(of.spent)}{model} of {budget(of.limit)}, {money.shown(of.left)} left{ends}"


def each(duration: str | None) -> str:
    if duration is None:
        return "in all"
    return _DURATIONS.get(duration, f"each {duration}")


def moment(microseconds: int) -> str:
    return f"{datetime.fromtimestamp(microseconds / SECOND, UTC):%Y-%m-%d %H:%M} UTC"


def difference(before: Limited, after: Limited) -> list[str]:
    """A line for each field that changed."""
    old, new = plain(before), plain(after)
    return [
        f"~ {name}: {_shown(name, old[name])} -> {_shown(name, new[name])}" for name in new if old[name] != new[name]
    ]


def _shown(name: str, value: Any) -> str:
    if value in (None, [], {}):
        return "none"
    if name in ("max_budget", "soft_budget", "base_spend"):
        return money.shown(value)
    if name.endswith("_at"):
        return moment(value)
    if name == "budget_limits":
        return ", ".join(budget(each) for each in rows.budget_limits(value))
    if name == "model_max_budget":
        return ", ".join(
            f"{model} {' and '.join(map(budget, several))}" for model, several in rows.budgets_by_model(value).items()
        )
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{key} {each}" for key, each in value.items())
    return str(value).lower() if isinstance(value, bool) else str(value)
