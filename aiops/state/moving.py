"""All that one database holds, put into another: in the caller's transactions, counted on both sides.

What is moved twice is there once: after a move that was interrupted behind its commit, the database it came from has
gone on, and what it has by now counts. ``meta`` of the new one remembers who came, and how far.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, func, insert, select, text, tuple_

from aiops.errors import Precondition
from aiops.state.administration.declared import record
from aiops.state.store import changes, clock, writing
from aiops.state.store import usage as ledger
from aiops.state.store.open import is_postgres
from aiops.state.store.tables import (
    audit,
    budgets,
    idempotency,
    imported,
    key_hashes,
    keys,
    meta,
    team_members,
    teams,
    usage,
    usage_daily,
    usage_daily_tags,
    usage_daily_totals,
    users,
)
from aiops.state.store.tables import changes as told

# Leases, replicas and changes are of the database itself.
NAMED = (budgets, users, teams, team_members, keys, key_hashes)
SUMS = (usage_daily, usage_daily_tags, usage_daily_totals)
MOVED = (*NAMED, usage, *SUMS, audit, idempotency, imported)
_BATCH = 1000


RENAME = (
    "on one of the two sides: `aiops keys update NAME --alias OTHER`, "
    "`aiops teams update NAME --alias OTHER`, or remove them"
)


class Conflict(Precondition):
    """The other database has something else under the same name."""

    name = "conflict"


class Differs(Precondition):
    """What arrived is not what was sent."""


@dataclass(frozen=True)
class Counted:
    """Of one table, ``money`` in nano-dollars: what the one has, and what of it the other one has."""

    table: str
    rows: int
    arrived: int
    money: int = 0
    arrived_money: int = 0

    @property
    def ok(self) -> bool:
        return (self.rows, self.money) == (self.arrived, self.arrived_money)


def conflicts(source: Connection, target: Connection, origin: str) -> list[str]:
    """What cannot be brought, in words. ``origin``: the gateway that the source is of; what it brought itself before is
    none."""
    found = []
    if _mark(target, origin) is None:
        for table, column, what in (
            (keys, keys.c.id, "key"), (key_hashes, key_hashes.c.hash, "key"),
            (teams, teams.c.id, "team"), (users, users.c.id, "user"), (budgets, budgets.c.id, "budget"),
        ):  # fmt: skip
            for values in _parts(source.scalars(select(column))):
                there = target.scalars(select(column).select_from(table).where(column.in_(values)))
                found += [
                    f"the {what} `{value if column is not key_hashes.c.hash else value[:12]}` is there already"
                    for value in there
                ]
    for table, what in ((keys, "key"), (teams, "team")):
        named = source.execute(select(table.c.alias, table.c.id).where(table.c.alias.is_not(None)).order_by("alias"))
        for rows in _parts(named):
            whose = select(table.c.alias, table.c.id).where(table.c.alias.in_([row.alias for row in rows]))
            ids = {(row.alias, row.id) for row in rows}
            others = {row.alias for row in target.execute(whose) if (row.alias, row.id) not in ids}
            found += [f"the {what} of the name `{name}` is there already" for name in sorted(others)]
    return found


def bring(source: Connection, target: Connection, origin: str) -> list[Counted]:
    """All but what others wait for. Raises Conflict with all of them, and Differs; then nothing of the target may be
    committed."""
    if found := conflicts(source, target, origin):
        raise Conflict("\n".join(found[:20]), RENAME)
    before = _mark(target, origin)
    counted = [_named(source, target, table) for table in NAMED]
    counted.append(_usage(source, target, again=before is not None))
    return _same(
        [
            *counted,
            _audit(source, target, before or 0),
            _kept(source, target, idempotency),
            _named(source, target, imported),
            _declared(source, target),
        ]
    )


def land(source: Connection, target: Connection, origin: str) -> list[Counted]:
    """The rest, right before the target is committed: rows that every gateway writes to, and that everybody is to look
    again. Raises Differs."""
    counted = []
    if _mark(target, origin) is None:
        ledger.seeding(target)  # what others enter meanwhile would be counted, too
        counted = [_sums(source, target, table) for table in SUMS]
    _remember(target, origin, newest(source))
    _go_on(target, changes.newest(source))
    return _same(counted)


def _same(counted: list[Counted]) -> list[Counted]:
    if wrong := [each for each in counted if not each.ok]:
        raise Differs(
            "; ".join(f"{each.table}: {each.rows} rows here, {each.arrived} there" for each in wrong),
            "nothing was changed: this is a fault of aiops, please tell its makers",
        )
    return counted


def counts(connection: Connection) -> dict[str, tuple[int, int]]:
    """Rows and money of each table that is moved."""
    return {table.name: _count(connection, table) for table in MOVED}


def has_come(target: Connection, origin: str) -> bool:
    """Whether this origin has brought something here before: counters that stayed behind have not seen the rest."""
    return _mark(target, origin) is not None


def newest(connection: Connection) -> int:
    """The number of the last line of the audit."""
    return connection.scalar(select(func.max(audit.c.id))) or 0


def came(connection: Connection, origin: str, newest: int) -> None:
    """Note in the database that was left what was brought back from it, so that it can be brought there again."""
    _remember(connection, origin, newest)


def _named(source: Connection, target: Connection, table: Table) -> Counted:
    """Who is known by an id: as the source has it."""
    primary = [column.name for column in table.primary_key]
    rows = arrived = 0
    for batch in _batches(source, table):
        if table is key_hashes:  # a key that was rotated or revoked meanwhile has no other hash than these
            target.execute(delete(table).where(table.c.key_id.in_({row["key_id"] for row in batch})))
        statement = writing.insert(target, table)
        rest = {column.name: statement.excluded[column.name] for column in table.columns if not column.primary_key}
        target.execute(statement.on_conflict_do_update(index_elements=primary, set_=rest), batch)
        rows += len(batch)
        arrived += _there(target, table, batch)[0]
    if table is key_hashes:  # of keys that have none any more
        for ids in _parts(source.scalars(select(keys.c.id).where(keys.c.id.not_in(select(table.c.key_id))))):
            target.execute(delete(table).where(table.c.key_id.in_(ids)))
    return Counted(table.name, rows, arrived)


def _declared(source: Connection, target: Connection) -> Counted:
    """What a ``keys.yaml`` manages, beside what those of others do."""
    mine, theirs = record.read(source).managed, record.read(target).managed
    if mine:
        record.write(target, record.Record(managed={**theirs, **mine}))
    arrived = record.read(target).managed
    return Counted(record.NAME, len(mine), sum(arrived.get(place) == each for place, each in mine.items()))


def _usage(source: Connection, target: Connection, *, again: bool) -> Counted:
    rows = money = arrived = arrived_money = 0
    for batch in _batches(source, usage):
        if again:  # the sums by day have those that were brought before
            ledger.bring(target, batch)
        else:
            target.execute(writing.insert(target, usage).on_conflict_do_nothing(), batch)
        rows += len(batch)
        money += sum(row["cost"] or 0 for row in batch)
        there = _there(target, usage, batch)
        arrived, arrived_money = arrived + there[0], arrived_money + there[1]
    return Counted(usage.name, rows, arrived, money, arrived_money)


def _sums(source: Connection, target: Connection, table: Table) -> Counted:
    """Added to what others have used on the same day."""
    here, before = _requests(source, table), _requests(target, table)
    primary = {column.name for column in table.primary_key}
    for batch in _batches(source, table):
        statement = writing.insert(target, table)
        added = {
            column.name: table.c[column.name] + statement.excluded[column.name]
            for column in table.columns
            if column.name not in primary
        }
        target.execute(statement.on_conflict_do_update(index_elements=sorted(primary), set_=added), batch)
    after = _requests(target, table)
    return Counted(table.name, here[0], after[0] - before[0], here[1], after[1] - before[1])


def _audit(source: Connection, target: Connection, since: int) -> Counted:
    """Under new numbers, in the old order. What was brought before is there. Others write lines meanwhile."""
    rows = arrived = 0
    for batch in _batches(source, audit, audit.c.id > since):
        lines = [{name: row[name] for name in row if name != "id"} for row in batch]
        made = target.scalars(insert(audit).returning(audit.c.id, sort_by_parameter_order=True), lines).all()
        there = select(func.count()).select_from(audit).where(audit.c.id.in_(made))
        rows, arrived = rows + len(batch), arrived + (target.scalar(there) or 0)
    return Counted(audit.name, rows, arrived)


def _kept(source: Connection, target: Connection, table: Table) -> Counted:
    rows = arrived = 0
    for batch in _batches(source, table):
        target.execute(writing.insert(target, table).on_conflict_do_nothing(), batch)
        rows, arrived = rows + len(batch), arrived + _there(target, table, batch)[0]
    return Counted(table.name, rows, arrived)


def _batches(source: Connection, table: Table, *which: Any) -> Iterator[list[dict[str, Any]]]:
    statement = select(table).where(*which).order_by(*table.primary_key)
    result = source.execution_options(stream_results=True, yield_per=_BATCH).execute(statement)
    for part in result.partitions():
        yield [_plain(row) for row in part]


def _parts(values: Iterable[Any]) -> Iterator[list[Any]]:
    left = iter(values)
    while part := list(islice(left, _BATCH)):
        yield part


def _plain(row: Row[Any]) -> dict[str, Any]:
    return dict(row._mapping)


def _there(target: Connection, table: Table, batch: Sequence[dict[str, Any]]) -> tuple[int, int]:
    primary = list(table.primary_key)
    ids = [tuple(row[column.name] for column in primary) for row in batch]
    money = func.coalesce(func.sum(table.c.cost), 0) if "cost" in table.c else func.count()
    found = target.execute(select(func.count(), money).select_from(table).where(tuple_(*primary).in_(ids))).one()
    return int(found[0]), int(found[1])


def _count(connection: Connection, table: Table) -> tuple[int, int]:
    money = func.coalesce(func.sum(table.c.cost), 0) if "cost" in table.c else text("0")
    found = connection.execute(select(func.count(), money).select_from(table)).one()
    return int(found[0]), int(found[1])


def _requests(connection: Connection, table: Table) -> tuple[int, int]:
    columns = (func.coalesce(func.sum(table.c.requests), 0), func.coalesce(func.sum(table.c.cost), 0))
    found = connection.execute(select(*columns)).one()
    return int(found[0]), int(found[1])


def _mark(target: Connection, origin: str) -> int | None:
    """The last line of the audit that this origin brought; None: it was never here."""
    value = target.scalar(select(meta.c.value).where(meta.c.name == f"came:{origin}"))
    return int(value) if value is not None else None


def _remember(target: Connection, origin: str, newest: int) -> None:
    statement = writing.insert(target, meta).values(name=f"came:{origin}", value=str(newest))
    target.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"value": str(newest)}))


def _go_on(target: Connection, newest: int) -> None:
    """Everybody forgets what they know, under a number that is higher than any they have seen."""
    if newest >= changes.newest(target):
        if is_postgres(target):
            name = text("SELECT setval(pg_get_serial_sequence('changes', 'seq'), :newest)")
            target.execute(name, {"newest": max(newest, 1)})
        else:
            target.execute(insert(told).values(seq=newest or None, at=clock.now(), kind="all", id=""))
    changes.note(target, "all", "")
