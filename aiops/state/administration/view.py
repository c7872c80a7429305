"""Rows together with what was spent of them, in LiteLLM's shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from aiops.state import money
from aiops.state.administration import find, listing, litellm, spend, users
from aiops.state.administration.keys import Made
from aiops.state.store import teams
from aiops.state.store.rows import Budget, Key, Member, Team, User

Json = dict[str, Any]


def key(connection: Connection, row: Key, now: float) -> Json:
    return keys(connection, [row], now)[0]


def keys(connection: Connection, many: Sequence[Key], now: float) -> list[Json]:
    tokens = find.hashes(connection, [each.id for each in many])
    return [_key(connection, each, tokens.get(each.id), now) for each in many]


def made(connection: Connection, new: Made, now: float) -> Json:
    """The answer that has the key itself."""
    lent = spend.lent(connection, new.row)
    token = find.hashes(connection, [new.row.id])[new.row.id]
    return litellm.generated(new.row, new.key, token, spend.spent(connection, new.row, lent, now), lent, now)


def info(connection: Connection, row: Key, now: float) -> Json:
    """Of one key: without its hash, with its state and what was used of each of its budgets."""
    found = key(connection, row, now)
    del found["token"]
    lent = spend.lent(connection, row)
    used = spend.used(connection, row, lent, now)
    found["status"] = litellm.status(row, now)
    if by_model := {each.model: _usage(each) for each in used if each.model is not None}:
        found["model_max_budget_usage"] = by_model
    if windows := {
        each.limit.budget_duration: _usage(each) for each in used if each.limit in (row.budget_limits or ())
    }:
        found["budget_limits_usage"] = windows
    return found


def team(connection: Connection, row: Team, now: float) -> Json:
    lent = spend.lent(connection, row)
    members = teams.members(connection, [row.id])
    return litellm.team(row, members, spend.spent(connection, row, lent, now), lent, now)


def memberships(connection: Connection, row: Team, now: float) -> list[Json]:
    return [membership(connection, each, now) for each in teams.members(connection, [row.id])]


def membership(connection: Connection, row: Member, now: float) -> Json:
    lent = spend.lent(connection, row)
    return litellm.membership(row, spend.spent(connection, row, lent, now), lent, now)


def user(connection: Connection, row: User, now: float) -> Json:
    lent = spend.lent(connection, row)
    of = [each.team_id for each in users.memberships(connection, row.id)]
    return litellm.user(row, of, spend.spent(connection, row, lent, now), lent, now)


def budget(row: Budget, now: float) -> Json:
    return litellm.budget(row, now)


def keys_of_team(connection: Connection, team: str, now: float) -> list[Json]:
    """Without their hashes, as LiteLLM has it."""
    found = keys(connection, listing.of_team(connection, team), now)
    for each in found:
        del each["token"]
    return found


def _key(connection: Connection, row: Key, token: str | None, now: float) -> Json:
    lent = spend.lent(connection, row)
    return litellm.key(row, token, spend.spent(connection, row, lent, now), lent, now)


def _usage(used: spend.Used) -> Json:
    return {
        "budget_duration": used.limit.budget_duration,
        "max_budget": money.dollars(used.limit.max_budget),
        "current_spend": money.dollars(used.spent),
        "reset_at": litellm.when(None if used.window.ends is None else used.window.ends * 1_000_000),
    }
