"""Which rows differ from what is declared, and in what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, cast

from sqlalchemy import Connection, select

from aiops.errors import UsageError
from aiops.state.administration import keys
from aiops.state.administration.declared import record
from aiops.state.administration.declared.entry import ROWS, Declaration, Entry, Kind, Row, Values, columns
from aiops.state.administration.requests import KeyRequest
from aiops.state.store import rows, tables, writing
from aiops.state.store.rows import Key, Team

_TABLES = {"budget": tables.budgets, "team": tables.teams, "user": tables.users, "key": tables.keys}
_BLOCKED: Values = {"blocked": True}


@dataclass(frozen=True)
class Step:
    """One row that has to change: ``values`` by column, none when only who manages it changes.

    ``entry`` None: the file does not have it, and ``why`` says what that means. ``row`` None: it has to be made, or is
    gone.
    """

    kind: Kind
    name: str
    row: Row | None
    values: Values
    entry: Entry | None
    why: str = ""


def compare(connection: Connection, declaration: Declaration) -> list[Step]:
    """What would have to be done. Raises UsageError when it is not clear which row is meant."""
    managed = record.read(connection).managed
    found = {each.place: find(connection, each.kind, each.name) for each in declaration.entries}
    steps: list[Step] = []
    for entry in declaration.entries:
        row = found[entry.place]
        if row is None:
            steps.append(Step(entry.kind, entry.name, None, wanted(entry, None, found), entry))
            continue
        values = different(row, wanted(entry, row, found))
        new = entry.place not in managed or managed[entry.place].id != row.id
        if values or new:
            steps.append(Step(entry.kind, entry.name, row, values, entry, "managed by keys.yaml from now on" * new))
    steps += _leaving(connection, managed, declaration.places)
    if declaration.prune:
        known = {row.id for row in [*found.values(), *(step.row for step in steps)] if row is not None}
        steps += _pruned(connection, known)
    return steps


def wanted(entry: Entry, row: Row | None, found: Mapping[str, Row | None]) -> Values:
    """Every column that is declared. ``found``: rows by place, among them the team of a key."""
    whole: Values = {each.name: each.default for each in fields(ROWS[entry.kind])}
    given = entry.asked.given()
    if isinstance(entry.asked, KeyRequest):
        # It lives from when it was made; of one that is not yet nobody can say.
        given = keys.columns(entry.asked, row.created_at if row is not None else 0)
        if row is None:
            given["expires_at"] = None
        team = found.get(f"team/{given.get('team_id')}")
        if team is not None:
            given["team_id"] = team.id
    return {name: given.get(name, whole[name]) for name in columns(entry.kind)}


def different(row: Row, values: Values) -> Values:
    """Those that the row does not have."""
    has = rows.written(row)
    return {name: value for name, value in values.items() if has[name] != rows.plain({name: value})[name]}


def find(connection: Connection, kind: Kind, name: str) -> Row | None:
    """By its name in the file: a live key by its alias, a team by id or alias, others by id. Raises UsageError."""
    found = get(connection, kind, name) if kind != "key" else None
    if found is not None or kind in ("budget", "user"):
        return found
    table = _TABLES[kind]
    where = [table.c.alias == name, *([table.c.revoked_at.is_(None)] if kind == "key" else [])]
    many = [rows.read(ROWS[kind], row) for row in connection.execute(select(table).where(*where)).mappings()]
    if len(many) > 1:
        some = ", ".join(each.id for each in many[:5])
        raise UsageError(f"{len(many)} {kind}s are called {name}", f"name it by its id in keys.yaml: {some}")
    return many[0] if many else None


def get(connection: Connection, kind: str, id: str) -> Row | None:
    which = cast(Kind, kind)
    return cast(Row | None, writing.one(connection, cast(Any, ROWS[which]), _TABLES[which], {"id": id}))


def _leaving(connection: Connection, managed: Mapping[str, record.Managed], declared: set[str]) -> Iterator[Step]:
    """Once each: what the file had, and has no more."""
    for place, each in managed.items():
        if place in declared:
            continue
        kind, _, name = place.partition("/")
        row = get(connection, kind, each.id)
        if row is None or (isinstance(row, Key) and row.revoked_at is not None):
            yield Step(cast(Kind, kind), name, None, {}, None, "gone, and keys.yaml does not have it any more")
        elif each.before is not None:
            before = different(row, rows.parsed(each.before))
            yield Step(cast(Kind, kind), name, row, before, None, "not in keys.yaml any more, as before it was")
        elif kind == "budget":
            yield Step("budget", name, row, {}, None, "not in keys.yaml any more; it stays")
        else:
            why = "not in keys.yaml any more; it stays, blocked, for reports"
            yield Step(cast(Kind, kind), name, row, different(row, _BLOCKED), None, why)


def _pruned(connection: Connection, known: set[str]) -> Iterator[Step]:
    why = "not in keys.yaml, which prunes; it stays, blocked, for reports"
    live = tables.keys.c.revoked_at.is_(None)
    for found in connection.execute(select(tables.keys).where(live, tables.keys.c.blocked.is_(False))).mappings():
        key = rows.read(Key, found)
        if key.id not in known:
            yield Step("key", key.alias or key.name, key, _BLOCKED, None, why)
    for found in connection.execute(select(tables.teams).where(tables.teams.c.blocked.is_(False))).mappings():
        team = rows.read(Team, found)
        if team.id not in known:
            yield Step("team", team.alias or team.id, team, _BLOCKED, None, why)
