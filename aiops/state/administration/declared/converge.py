"""The rows become as declared, or what they were: each in one transaction of the caller's.

Whoever finds that the change of a generation never went live takes back what was done for it; that asks only the
database, and doing it again changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TypeAlias

from sqlalchemy import Connection

from aiops.state.administration import budgets, journal, keys, limits, teams, users
from aiops.state.administration.declared import record
from aiops.state.administration.declared.compare import Step, compare, different, find, get
from aiops.state.administration.declared.entry import Declaration, Entry, Row, columns
from aiops.state.administration.declared.record import Managed, Record, Undo
from aiops.state.administration.journal import Actor
from aiops.state.administration.request import Invalid
from aiops.state.administration.requests import BudgetRequest, KeyRequest, TeamRequest, UserRequest
from aiops.state.store import rows
from aiops.state.store.rows import Key

Keep: TypeAlias = Callable[[str, str], None]

VERB = "keys.yaml"
BACK = "keys.yaml, taken back"


def converge(connection: Connection, declaration: Declaration, change: str, by: Actor, keep: Keep) -> list[Step]:
    """Do it, for ``change``, a name that no other gateway on this database gives to one of its own. ``keep``: given
    alias and secret of each key made, before anything is committed. Raises Invalid and UsageError."""
    steps = compare(connection, declaration)
    before = record.read(connection).managed
    done = [undo for step in steps if (undo := _take(connection, step, by, keep)) is not None]
    made = {each.id for each in done if each.values is None}
    was = {step.row.id: step.row for step in steps if step.row is not None}
    managed: dict[str, Managed] = {}
    for entry in declaration.entries:
        row = find(connection, entry.kind, entry.name)
        assert row is not None
        known = before.get(entry.place)
        if known is not None and known.id == row.id:
            managed[entry.place] = known
        elif row.id in made:
            managed[entry.place] = Managed(row.id, None)
        else:
            managed[entry.place] = Managed(row.id, _stored(was[row.id], columns(entry.kind)))
    record.write(connection, Record(change, managed, before, tuple(done)))
    return steps


def take_back(connection: Connection, change: str, by: Actor) -> bool:
    """What was done for ``change``; whether there was something. A key that was made
    for it is revoked."""
    found = record.read(connection)
    if found.change != change:
        return False
    for each in reversed(found.undo):
        row = get(connection, each.kind, each.id)
        if row is None:
            continue
        if each.values is not None:
            journal.change(connection, row, rows.parsed(each.values), by, BACK)
        elif isinstance(row, Key):
            keys.revoke(connection, row, by)
        else:
            journal.remove(connection, row, by, BACK)
    record.write(connection, Record(None, found.previous))
    return True


def _take(connection: Connection, step: Step, by: Actor, keep: Keep) -> Undo | None:
    """One step, and how to take it back."""
    if step.row is None:
        if step.entry is None:
            return None
        return Undo(step.kind, _make(connection, step.entry, by, keep).id, None)
    if not step.values:
        return None
    values = step.values
    if step.kind == "key" and step.entry is not None and values.get("team_id") is not None:
        team = find(connection, "team", values["team_id"])  # it may have been made a moment ago
        values = {**values, "team_id": team.id if team is not None else values["team_id"]}
    changed = replace(step.row, **values)
    if step.entry is not None and (problems := [*limits.problems(connection, changed)]):
        raise Invalid(problems, f"of the {step.kind} {step.name}")
    journal.change(connection, step.row, values, by, VERB)
    return Undo(step.kind, step.row.id, _stored(step.row, step.values))


def _make(connection: Connection, entry: Entry, by: Actor, keep: Keep) -> Row:
    match entry.asked:
        case BudgetRequest() as asked:
            return budgets.create(connection, asked, by).row
        case UserRequest() as asked:
            return users.create(connection, asked, by).row
        case TeamRequest() as asked:
            return teams.create(connection, replace(asked, alias=entry.name), by).row
        case KeyRequest() as asked:
            name = asked.given().get("team_id")
            team = find(connection, "team", name) if name is not None else None
            made = keys.create(connection, replace(asked, team_id=team.id if team is not None else None), by)
            keep(entry.name, made.key)
            # It lives from when its row says that it was made.
            ends = {"expires_at": keys.columns(asked, made.row.created_at).get("expires_at")}
            return journal.change(connection, made.row, different(made.row, ends), by, VERB).row


def _stored(row: Row, names: Collection[str]) -> Mapping[str, object]:
    return {name: value for name, value in rows.written(row).items() if name in names}
