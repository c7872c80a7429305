"""How every act is done: noted as a change, the row written whole, and who did it in the audit, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Table

from aiops.state.administration import epochs
from aiops.state.store import audit, changes, rows, tables, writing
from aiops.state.store.audit import Act
from aiops.state.store.changes import Kind, member_id

R = TypeVar("R", bound=rows.Limited)
Plain = Mapping[str, Any]

_OF: Mapping[type[rows.Limited], tuple[Kind, Table]] = {
    rows.Key: ("key", tables.keys),
    rows.Team: ("team", tables.teams),
    rows.Member: ("member", tables.team_members),
    rows.User: ("user", tables.users),
    rows.Budget: ("budget", tables.budgets),
}
_BOOKKEEPING = frozenset({"created_at", "created_by", "updated_at", "updated_by", "version", "epoch", "base_at"})


@dataclass(frozen=True)
class Actor:
    """``who``: a person as far as is known. ``source``: the command line, or the address that a request came from."""

    who: str
    source: str
    reason: str = ""


@dataclass(frozen=True)
class Done(Generic[R]):
    """The row as it is now, and the number of the change; None: there was nothing to change."""

    row: R
    seq: int | None


def add(connection: Connection, row: R, by: Actor, verb: str) -> Done[R]:
    """Raises Exists."""
    kind, table = _OF[type(row)]
    row = epochs.first(connection, row)
    seq = changes.note(connection, kind, identity(row))
    now = writing.add(connection, table, replace(row, created_by=by.who, updated_by=by.who))
    _tell(connection, by, verb, kind, identity(now), None, plain(now))
    return Done(now, seq)


def change(
    connection: Connection,
    row: R,
    values: Mapping[str, Any],
    by: Actor,
    verb: str,
    told: Mapping[str, Any] | None = None,
) -> Done[R]:
    """``told``: what the audit is told beside what changed. Raises Stale when somebody else was faster."""
    changed = replace(row, **values)
    if changed == row and not told:
        return Done(row, None)
    kind, table = _OF[type(row)]
    seq = changes.note(connection, kind, identity(row))
    changed = epochs.follow(connection, row, changed)
    now = writing.replace(connection, table, replace(changed, updated_by=by.who))
    before, after = plain(row), plain(now)
    names = [name for name in after if before[name] != after[name]]
    _tell(
        connection, by, verb, kind, identity(row),
        {name: before[name] for name in names}, {**{name: after[name] for name in names}, **(told or {})},
    )  # fmt: skip
    return Done(now, seq)


def remove(connection: Connection, row: rows.Limited, by: Actor, verb: str) -> int:
    """The number of the change."""
    kind, table = _OF[type(row)]
    seq = changes.note(connection, kind, identity(row))
    if isinstance(row, rows.Budget):
        epochs.borrowers(connection, row.id)
    writing.remove(connection, table, **{column.name: getattr(row, column.name) for column in table.primary_key})
    _tell(connection, by, verb, kind, identity(row), plain(row), None)
    return seq


def _tell(
    connection: Connection, by: Actor, verb: str, kind: Kind, id: str, before: Plain | None, after: Plain | None
) -> None:
    """No hash of a key is among it: with that and the database one could tell which key was whose."""
    if by.reason:
        after = {**(after or {}), "reason": by.reason}
    act = Act(who=by.who, from_where=by.source, verb=verb, kind=kind, object=id, before=_set(before), after=_set(after))
    audit.add(connection, act)


def identity(row: rows.Limited) -> str:
    if isinstance(row, rows.Member):
        return member_id(row.team_id, row.user_id)
    assert isinstance(row, rows.Key | rows.Team | rows.User | rows.Budget)
    return row.id


def plain(row: rows.Limited) -> dict[str, Any]:
    """What people decide of it, as it is stored."""
    return {name: value for name, value in rows.written(row).items() if name not in _BOOKKEEPING}


def _set(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if values is None else {name: each for name, each in values.items() if each not in (None, [], {})}
