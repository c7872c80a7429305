"""The ledger: a row for each request, put in exactly once, and sums by day that are put in with it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from operator import eq, ge, lt
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, and_, func, not_, or_, select, text, tuple_

from aiops.state import rules
from aiops.state.shapes import Kind
from aiops.state.store import clock, freeze, writing
from aiops.state.store.changes import member_of
from aiops.state.store.open import is_postgres
from aiops.state.store.partitions import drop_before, make_partitions, runway
from aiops.state.store.tables import usage, usage_daily, usage_daily_tags, usage_daily_totals
from aiops.state.store.totals import Dimension, Filter, Group, by, drop_days_before
from aiops.state.usage.record import Usage

__all__ = ["Dimension", "Filter", "Group", "by", "drop_before", "drop_days_before", "make_partitions", "runway"]

BATCH = 1000
_LOCK = 0x41694F72 << 8
_DAY = 86_400
InCounter = tuple[str, str]
"""The epoch of the counters, and the counter's mark (``usage/settled.py``)."""
_NAMES = {"key": "key_id", "team": "team_id", "user": "user_id"}
_COLUMNS = {field.name: _NAMES.get(field.name, field.name) for field in fields(Usage)}


def ingest(connection: Connection, records: Iterable[Usage]) -> list[str]:
    """The ids of those that were not there yet; only they are added to the sums. In a transaction that may be tried
    again (``open.transact``). Raises Frozen."""
    freeze.require_thawed(connection)
    if is_postgres(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock_shared(:lock)"), {"lock": _LOCK})
    # In one order, so that two who put in the same rows wait for each other and do not deadlock.
    given = sorted({(record.started, record.id): record for record in records}.items())
    new: list[Usage] = []
    for start in range(0, len(given), BATCH):
        batch = dict(given[start : start + BATCH])
        statement = writing.insert(connection, usage).on_conflict_do_nothing()
        rows = connection.execute(
            statement.values(ingested_at=clock.now()).returning(usage.c.started, usage.c.id),
            [_values(record) for record in batch.values()],
        )
        new += [batch[row.started, row.id] for row in rows]
    _add_up(connection, new)
    return [record.id for record in new]


def bring(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Rows of another ledger's table, as they were read there; otherwise as ``ingest``."""
    return ingest(connection, (_of_columns(row) for row in rows))


def seeding(connection: Connection) -> None:
    """Until this transaction ends nothing is ingested, and all that was is seen by ``spent``."""
    if is_postgres(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def spent(
    connection: Connection,
    kind: Kind,
    id: str,
    begins: float,
    ends: float | None,
    *,
    model: str | None = None,
    not_in: InCounter | None = None,
) -> int:
    """Nano-dollars of an account from ``begins`` until before ``ends`` (seconds since 1970; None: all after), by when
    its requests were started. ``model``: of this one alone, or of all that this pattern means. ``not_in``: without
    those that this counter has.

    Whole days (of UTC) come from the sums by day, which are kept when rows are dropped; what a window has of its first
    and last day only, from the rows.
    """
    first = -(-begins // _DAY)
    last = None if ends is None else ends // _DAY
    if last is not None and last < first:
        return _of_rows(connection, kind, id, begins, ends, model, not_in)
    total = _of_days(connection, kind, id, int(first), None if last is None else int(last), model, not_in)
    if begins < first * _DAY:
        total += _of_rows(connection, kind, id, begins, first * _DAY, model, not_in)
    if ends is not None and last is not None and last * _DAY < ends:
        total += _of_rows(connection, kind, id, last * _DAY, ends, model, not_in)
    return total


@dataclass(frozen=True, kw_only=True)
class Which:
    """All that are given must hold. ``since`` and ``until``: microseconds since 1970, of the start."""

    id: str | None = None
    key: str | None = None
    team: str | None = None
    user: str | None = None
    end_user: str | None = None
    model: str | None = None
    since: int | None = None
    until: int | None = None


def page(connection: Connection, which: Which, *, after: tuple[int, str] | None = None, size: int = 100) -> list[Usage]:
    """The newest first. ``after``: ``started`` and ``id`` of the last one of the page before."""
    where = writing.given(
        (eq, usage.c.id, which.id),
        (eq, usage.c.key_id, which.key),
        (eq, usage.c.team_id, which.team),
        (eq, usage.c.user_id, which.user),
        (eq, usage.c.end_user, which.end_user),
        (eq, usage.c.model, which.model),
        (ge, usage.c.started, which.since),
        (lt, usage.c.started, which.until),
    )
    if after is not None:
        where.append(tuple_(usage.c.started, usage.c.id) < tuple_(*after))
    columns = [usage.c[column] for column in _COLUMNS.values()]
    statement = select(*columns).where(*where).order_by(usage.c.started.desc(), usage.c.id.desc()).limit(size)
    return [_record(row) for row in connection.execute(statement)]


def _values(record: Usage) -> dict[str, Any]:
    values = {column: getattr(record, name) for name, column in _COLUMNS.items()}
    return {**values, "tags": list(record.tags) or None}


def _record(row: Row[Any]) -> Usage:
    return _of_columns(dict(zip(_COLUMNS.values(), row, strict=True)))


def _of_columns(row: Mapping[str, Any]) -> Usage:
    values = {name: row[column] for name, column in _COLUMNS.items()}
    return Usage(**{**values, "tags": tuple(values["tags"] or ())})


def _add_up(connection: Connection, new: Sequence[Usage]) -> None:
    days: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    tags: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    totals: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    for record in new:
        day = datetime.fromtimestamp(record.started / clock.SECOND, UTC).date()
        whose = (record.key, record.team or "", record.user or "")
        counts = _counts(record)
        days[day, *whose, record.model, record.provider, record.epoch].update(counts)
        for tag in set(record.tags):
            tags[day, tag, *whose[:2], record.model].update(counts)
    for (day, _, _, _, model, provider, _), sums in days.items():
        totals[day, model, provider].update(sums)
    _upsert(connection, usage_daily, days)
    _upsert(connection, usage_daily_tags, tags)
    # The last, because all who ingest want the same rows: until the end of the transaction they wait for each other.
    _upsert(connection, usage_daily_totals, totals)


def _counts(record: Usage) -> dict[str, int]:
    return {
        "requests": 1,
        "failed": int(record.outcome in ("failed", "lost")),
        "estimated": int(record.estimated),
        "unpriced": int(record.cost is None),
        "cost": record.cost or 0,
        "prompt_tokens": record.prompt_tokens,
        "completion_tokens": record.completion_tokens,
        "cached_tokens": record.cached_tokens,
    }


def _upsert(connection: Connection, table: Table, sums: Mapping[tuple[Any, ...], Counter[str]]) -> None:
    """In the order of the labels, as with the rows."""
    if not sums:
        return
    labels = [column.name for column in table.primary_key]
    statement = writing.insert(connection, table)
    statement = statement.on_conflict_do_update(
        index_elements=labels,
        set_={column.name: column + statement.excluded[column.name] for column in table.c if column.name not in labels},
    )
    rows = [{**dict(zip(labels, label, strict=True)), **counts} for label, counts in sorted(sums.items())]
    connection.execute(statement, rows)


def _whose(table: Table, kind: Kind, id: str) -> ColumnElement[bool]:
    if kind == "member":
        team, user = member_of(id)
        return and_(table.c.team_id == team, table.c.user_id == user)
    if kind == "user":
        # What a user spends in a team is the member's and the team's, see identity.py.
        alone = table.c.team_id.is_(None) if table is usage else table.c.team_id == ""
        return and_(table.c.user_id == id, alone)
    return table.c[_NAMES[kind]] == id


def _of_rows(
    connection: Connection,
    kind: Kind,
    id: str,
    begins: float,
    ends: float | None,
    model: str | None,
    not_in: InCounter | None,
) -> int:
    where = [_whose(usage, kind, id), usage.c.started >= int(begins * clock.SECOND)]
    if ends is not None:
        where.append(usage.c.started < int(ends * clock.SECOND))
    return _sum(connection, usage, where, model, not_in)


def _of_days(
    connection: Connection,
    kind: Kind,
    id: str,
    first: int,
    last: int | None,
    model: str | None,
    not_in: InCounter | None,
) -> int:
    where = [_whose(usage_daily, kind, id), usage_daily.c.day >= _date(first)]
    if last is not None:
        where.append(usage_daily.c.day < _date(last))
    return _sum(connection, usage_daily, where, model, not_in)


def _sum(
    connection: Connection,
    table: Table,
    where: list[ColumnElement[bool]],
    model: str | None,
    not_in: InCounter | None,
) -> int:
    if model is not None and rules.is_one_model(model):
        where.append(table.c.model == model)
    if not_in is not None:
        epoch, mark = not_in
        of_these = table.c.epoch.startswith(f"{epoch} ", autoescape=True)
        in_it = and_(of_these, table.c.epoch.contains(f" {mark} ", autoescape=True))
        where.append(not_(or_(table.c.epoch == epoch, in_it)))
    total = func.coalesce(func.sum(table.c.cost), 0)
    if model is None or rules.is_one_model(model):
        return int(connection.scalar(select(total).where(*where)) or 0)
    # No database matches a pattern as a request is matched.
    by_model = connection.execute(select(table.c.model, total).where(*where).group_by(table.c.model))
    return sum(int(cost) for served, cost in by_model if rules.means(model, served))


def _date(days: int) -> date:
    return date(1970, 1, 1) + timedelta(days=days)
