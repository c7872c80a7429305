"""Who did what: a line of ``audit``, and one of ``changes``, in the transaction that does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, insert

from aiops.state.store import tables

Kind = Literal["key", "team", "user", "budget"]


@dataclass(frozen=True)
class Actor:
    """``who``: a person as far as is known. ``source``: the command line, or the address that a request came from."""

    who: str
    source: str
    reason: str = ""


@dataclass(frozen=True)
class Act:
    """``before`` and ``after``: what is different, as the tables have it; None where there was or is nothing."""

    verb: str
    kind: Kind
    id: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


def record(connection: Connection, by: Actor, at: int, act: Act) -> int:
    """``at``: microseconds. The number of the change: who has applied it acts on what is now. Hashes of keys are kept
    out, as with them and the database one could tell which key was whose."""
    before, after = _difference(act.before, act.after)
    if by.reason:
        after = {**(after or {}), "reason": by.reason}
    line = {
        "at": at, "who": by.who, "from_where": by.source, "verb": act.verb, "kind": act.kind, "object": act.id,
        "before": before, "after": after,
    }  # fmt: skip
    connection.execute(insert(tables.audit).values(line))
    seq = connection.execute(insert(tables.changes).values(at=at, kind=act.kind, id=act.id)).inserted_primary_key
    assert seq is not None
    return int(seq[0])


def _difference(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Of a change only what changed; of a beginning or an end all that is set."""
    if before is None or after is None:
        return _set(before), _set(after)
    names = [name for name in after if before.get(name) != after[name]]
    return {name: before.get(name) for name in names}, {name: after[name] for name in names}


def _set(row: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if row is None else {name: value for name, value in row.items() if value not in (None, [], {})}
