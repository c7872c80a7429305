"""Teams: keys that share limits and a budget. Each act is whole, with its line in the audit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, select

from aiops.errors import UsageError
from aiops.state.administration import journal, keys, limits, members
from aiops.state.administration.journal import Actor, Done
from aiops.state.administration.request import UNSET, Invalid, Problem, Unknown, said
from aiops.state.administration.requests import TeamRequest
from aiops.state.store import budgets, clock, tables, teams
from aiops.state.store.rows import Budget, Key, Team


@dataclass(frozen=True)
class Deleted:
    """``keys``: ids of those that ended with it. ``seq``: of the last change."""

    row: Team
    keys: tuple[str, ...]
    seq: int


def get(connection: Connection, said: str) -> Team:
    """By id or alias. Raises Unknown, and UsageError when several are called so."""
    found = teams.get(connection, said)
    if found is not None:
        return found
    called = teams.get_by_alias(connection, said)
    if len(called) > 1:
        raise UsageError(f"{len(called)} teams are called {said}", "say which by its id: " + ", ".join(
            each.id for each in called[:5]
        ))  # fmt: skip
    if called:
        return called[0]
    some = teams.page(connection)
    raise Unknown("team", said, [name for each in some for name in (each.id, each.alias) if name])


def called(connection: Connection, many: Iterable[Key]) -> dict[str, str]:
    """The aliases of their teams, by id; those without one, or that are none any more, are left out."""
    ids = {each.team_id for each in many if each.team_id is not None}
    found = connection.execute(select(tables.teams.c.id, tables.teams.c.alias).where(tables.teams.c.id.in_(ids)))
    return {row.id: row.alias for row in found if row.alias}


def create(connection: Connection, asked: TeamRequest, by: Actor) -> Done[Team]:
    """With its members. Raises Invalid with every problem."""
    at = clock.read(connection)
    id = said(asked.id, None) or str(uuid4())
    row = replace(Team(id=id), **asked.given())
    taken = [] if teams.get(connection, id) is None else [Problem("team_id", f"is taken: there is a team `{id}`")]
    _require([*_problems(connection, row, None), *taken])
    if spent := said(asked.spend, None):
        row = replace(row, base_spend=spent, base_at=at)
    row = replace(row, **_for_members(connection, row, asked, by))
    done = journal.add(connection, row, by, "teams create")
    for member in said(asked.members, ()):
        members.add(connection, row, member, by=by)
    return done


def change(connection: Connection, row: Team, asked: TeamRequest, by: Actor) -> Done[Team]:
    """Raises Invalid with every problem."""
    values = asked.given()
    moved = said(asked.id, None) not in (None, row.id)
    problems = [Problem("team_id", "cannot be changed")] if moved else []
    if asked.members is not UNSET:
        problems.append(Problem("members_with_roles", "is changed by add-member and remove-member"))
    _require([*_problems(connection, replace(row, **values), row), *problems])
    if (spent := said(asked.spend, None)) is not None:
        values |= limits.anew(row, spent, clock.read(connection))
    values |= _for_members(connection, row, asked, by)
    return journal.change(connection, row, values, by, "teams update")


def block(connection: Connection, row: Team, by: Actor, blocked: bool = True) -> Done[Team]:
    """All its keys with it."""
    return journal.change(connection, row, {"blocked": blocked}, by, "teams block" if blocked else "teams unblock")


def delete(connection: Connection, row: Team, by: Actor) -> Deleted:
    """Its keys are revoked; what they spent stays in the ledger."""
    ended = keys.revoke_all_of(connection, by, team=row.id)
    for member in teams.members(connection, [row.id]):
        members.remove(connection, row, member.user_id, by)
    lent = budgets.get(connection, row.member_budget_id) if row.member_budget_id else None
    if lent is not None and lent.id == _lent_to_members(row.id):
        journal.remove(connection, lent, by, "teams delete")
    return Deleted(row, tuple(ended), journal.remove(connection, row, by, "teams delete"))


def _for_members(connection: Connection, row: Team, asked: TeamRequest, by: Actor) -> dict[str, Any]:
    """The budget that its members are lent, made and changed with the team."""
    asked_for = {
        "max_budget": asked.member_budget,
        "budget_duration": asked.member_budget_duration,
        "rpm_limit": asked.member_rpm_limit,
        "tpm_limit": asked.member_tpm_limit,
    }
    values: dict[str, Any] = {name: value for name, value in asked_for.items() if value is not UNSET}
    if not values:
        return {}
    there = budgets.get(connection, row.member_budget_id) if row.member_budget_id else None
    lent = there or Budget(id=_lent_to_members(row.id))
    changed = replace(lent, **values)
    if changed.budget_duration is not None and changed.max_budget is None:
        raise Invalid([Problem("team_member_budget_duration", "has no effect without `team_member_budget`")])
    if there is None:
        if all(value is None for value in values.values()):
            return {}
        journal.add(connection, changed, by, "teams update")
    else:
        journal.change(connection, there, values, by, "teams update")
    return {"member_budget_id": lent.id}


def _lent_to_members(id: str) -> str:
    return f"members of {id}"


def _problems(connection: Connection, row: Team, before: Team | None) -> Iterable[Problem]:
    if row.alias is not None and (before is None or before.alias != row.alias):
        others = [each.id for each in teams.get_by_alias(connection, row.alias) if each.id != row.id]
        if others:
            yield Problem("team_alias", f"is taken: `{row.alias}` is the team {others[0]}")
    yield from limits.problems(connection, row)


def _require(problems: list[Problem]) -> None:
    if problems:
        raise Invalid(problems)
