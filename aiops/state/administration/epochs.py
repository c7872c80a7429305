"""What becomes of counters when a budget ends.

A budget that is given back in the same window would find its old counter, without what was spent between. So whoever
had it gets another epoch when it ends: all counters of the account are new ones, and are told what the ledger says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Table, case, select, update

from aiops.state.store import budgets, clock, tables, teams
from aiops.state.store.rows import Budget, Counted, Limited, Member, Team

R = TypeVar("R", bound=Limited)
Window = tuple[str | None, str | None]
"""Of a counter: of which model alone, and its duration."""

_LENT = (tables.keys, tables.teams, tables.users, tables.team_members)
_BUDGETS = ("max_budget", "budget_duration", "budget_limits", "model_max_budget")
_DECIDES = (*_BUDGETS, "budget_id")


def first(connection: Connection, row: R) -> R:
    """Members may have been in the team before, and their keys are used while they are not: by their counters of then
    they are not found again."""
    if isinstance(row, Member) and not row.epoch:
        return replace(row, epoch=-(clock.read(connection) // 1000))  # milliseconds
    return row


def follow(connection: Connection, before: R, after: R) -> R:
    """``after`` as it is to be written; whoever is lent it is written here."""
    if isinstance(before, Team) and isinstance(after, Team):
        _follow_members(connection, before, after)
    if all(getattr(before, name, None) == getattr(after, name, None) for name in _DECIDES):
        return after
    if isinstance(after, Budget):
        borrowers(connection, after.id)
        return after
    if not isinstance(before, Counted) or not isinstance(after, Counted) or after.epoch != before.epoch:
        return after
    ended = _windows(connection, before) - _windows(connection, after)
    return replace(after, epoch=before.next_epoch()) if ended else after


def _follow_members(connection: Connection, before: Team, after: Team) -> None:
    """They are lent no budget any more, or another one."""
    if before.member_budget_id not in (None, after.member_budget_id):
        _begin(connection, tables.team_members, tables.team_members.c.team_id == after.id)


def borrowers(connection: Connection, budget: str) -> None:
    """Whoever is lent this budget, which ends or is another one, begins anew."""
    for table in _LENT:
        _begin(connection, table, table.c.budget_id == budget)
    of = select(tables.teams.c.id).where(tables.teams.c.member_budget_id == budget)
    _begin(connection, tables.team_members, tables.team_members.c.team_id.in_(of))


def _begin(connection: Connection, table: Table, whose: ColumnElement[bool]) -> None:
    # Nobody has decided anything of these rows, so their version stays; that their counters are new ones has to be
    # known from the time, see `Meter.since`.
    epoch = case((table.c.epoch > 0, table.c.epoch + 1), else_=table.c.epoch - 1)
    connection.execute(update(table).where(whose).values(epoch=epoch, updated_at=clock.now()))


def _windows(connection: Connection, row: Counted) -> frozenset[Window]:
    """As ``store/identity.py`` fills in what the row leaves open."""
    filled = _filled([row, *_lent(connection, row)])
    found: set[Window] = {(None, each.budget_duration) for each in filled.budget_limits or ()}
    if filled.max_budget is not None:
        found.add((None, filled.budget_duration))
    for model, several in (filled.model_max_budget or {}).items():
        found |= {(model, each.budget_duration) for each in several}
    return frozenset(found)


def _filled(many: Sequence[Limited]) -> Limited:
    """The first that says something, for each of what decides."""
    values: dict[str, Any] = {}
    for name in _BUDGETS:
        values[name] = next((value for each in many if (value := getattr(each, name)) is not None), None)
    return Limited(**values)


def _lent(connection: Connection, row: Counted) -> Iterator[Budget]:
    ids = [row.budget_id]
    if isinstance(row, Member):
        team = teams.get(connection, row.team_id)
        ids.append(team.member_budget_id if team is not None else None)
    for position, id in enumerate(ids):
        found = budgets.get(connection, id) if id is not None else None
        if found is not None:  # of what members have by default 0 means no limit
            yield replace(found, max_budget=found.max_budget or None) if position else found
