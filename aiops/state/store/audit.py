"""Who did what. Written in the transaction that does it, and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import eq, ge, lt
from typing import Any

from sqlalchemy import Connection, delete, select

from aiops.state.store import clock, writing
from aiops.state.store.tables import audit


@dataclass(frozen=True, kw_only=True)
class Act:
    """``who``: a person or a key's name. ``from_where``: an address, or the command line's host. ``before`` and
    ``after``: the row in words, without secrets. ``id`` and ``at`` (microseconds since 1970) are given when written."""

    who: str
    from_where: str
    verb: str
    kind: str
    object: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    id: int = 0
    at: int = 0


def add(connection: Connection, act: Act) -> int:
    """Its id."""
    values = {
        "who": act.who,
        "from_where": act.from_where,
        "verb": act.verb,
        "kind": act.kind,
        "object": act.object,
        "before": None if act.before is None else dict(act.before),
        "after": None if act.after is None else dict(act.after),
        "at": clock.now(),
    }
    id: int = connection.execute(writing.insert(connection, audit).values(values).returning(audit.c.id)).scalar_one()
    return id


def page(
    connection: Connection,
    *,
    before: int | None = None,
    size: int = 100,
    kind: str | None = None,
    object: str | None = None,
    since: int | None = None,
    until: int | None = None,
) -> list[Act]:
    """The newest first. ``before``: the id of the last one of the page before; ``since`` and ``until``: times."""
    where = writing.given(
        (lt, audit.c.id, before),
        (eq, audit.c.kind, kind),
        (eq, audit.c.object, object),
        (ge, audit.c.at, since),
        (lt, audit.c.at, until),
    )
    statement = select(*audit.c).where(*where).order_by(audit.c.id.desc()).limit(size)
    return [Act(**row) for row in connection.execute(statement).mappings()]


def prune(connection: Connection, before: int) -> int:
    """Drop what was done before (microseconds since 1970); how much that was."""
    return connection.execute(delete(audit).where(audit.c.at < before)).rowcount
