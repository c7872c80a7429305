"""What is remembered of each row that was taken over, and whether our tables say what was read there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Table, delete, select

from aiops.state.store import rows, tables
from aiops.state.store.changes import member_id
from aiops.state.takeover.translate import Taken, Translated

COUNTERS = frozenset({"base_spend", "base_at", "base_windows", "epoch"})
BOOKKEEPING = frozenset({"created_at", "created_by", "updated_at", "updated_by", "version", "id"})
TABLES: Mapping[str, Table] = {
    "budget": tables.budgets,
    "user": tables.users,
    "team": tables.teams,
    "member": tables.team_members,
    "key": tables.keys,
}


@dataclass(frozen=True)
class Known:
    """``ours``: the id here. ``digest`` and ``spent`` (nano-dollars): of the row there. ``version``: of ours then."""

    ours: str
    source: str
    digest: str
    spent: int
    version: int


def known(connection: Connection) -> dict[tuple[str, str], Known]:
    """By kind and what LiteLLM finds it by."""
    return {
        (row.kind, row.theirs): Known(row.ours, row.source, row.digest, row.spent, row.version)
        for row in connection.execute(select(tables.imported))
    }


def remember(connection: Connection, taken: Taken, now: Known) -> None:
    """In place of what was remembered of it, and of what a key was before it was rotated."""
    table = tables.imported
    names = {taken.theirs, *(each.hash for each in taken.hashes)}
    connection.execute(delete(table).where(table.c.kind == taken.kind, table.c.theirs.in_(names)))
    remember_new(connection, [(taken, now)])


def remember_new(connection: Connection, many: Sequence[tuple[Taken, Known]]) -> None:
    values = [{"kind": taken.kind, "theirs": taken.theirs, **vars(now)} for taken, now in many]
    if values:
        connection.execute(tables.imported.insert(), values)


def check(connection: Connection, translated: Translated, here: Container[tuple[str, str]]) -> Mapping[str, int]:
    """By kind: the nano-dollars that LiteLLM had counted, as our tables have them, but for what was ``here`` already.
    Raises RuntimeError when they are not what was read."""
    sums = {}
    for kind in ("user", "team", "member", "key"):
        wanted = {
            each.theirs: each.spent.counts
            for each in translated.taken
            if each.kind == kind and (kind, each.theirs) not in here
        }
        found = {theirs: amount for theirs, amount in _stands(connection, kind) if theirs in wanted}
        if found != wanted:
            raise RuntimeError(f"the money of {kind}s does not stand there as it was read")
        sums[kind] = sum(found.values())
    return sums


def _stands(connection: Connection, kind: str) -> Iterator[tuple[str, int]]:
    """What each row began with, by what LiteLLM finds it by. Once a budget began again with what aiops had counted in
    it, what was read there is what is remembered."""
    table, imported = TABLES[kind], tables.imported
    of_kind = select(imported.c.ours, imported.c.theirs, imported.c.spent).where(imported.c.kind == kind)
    names = (table.c.team_id, table.c.user_id) if kind == "member" else (table.c.id,)
    remembered = {ours: (theirs, spent) for ours, theirs, spent in connection.execute(of_kind)}
    for *id, epoch, spend in connection.execute(select(*names, table.c.epoch, table.c.base_spend)):
        theirs, spent = remembered.get(member_id(*id) if kind == "member" else id[0], (None, 0))
        if theirs is not None:
            yield theirs, spend if epoch <= 0 else spent


def digest(row: rows.Limited) -> str:
    """Of what people decide."""
    left = COUNTERS | BOOKKEEPING
    values = {name: value for name, value in rows.written(row).items() if name not in left}
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()
