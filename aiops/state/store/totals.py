"""What was used, by whatever people ask for, out of the sums by day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from sqlalchemy import Connection, Table, delete, func, select

from aiops.state.store.tables import usage_daily, usage_daily_tags, usage_daily_totals

Dimension = Literal["day", "key", "team", "user", "model", "provider", "tag"]
_COLUMNS: dict[Dimension, str] = {
    "day": "day", "key": "key_id", "team": "team_id", "user": "user_id", "model": "model", "provider": "provider",
    "tag": "tag",
}  # fmt: skip
_COUNTS = (
    "requests", "failed", "estimated", "unpriced", "cost", "prompt_tokens", "completion_tokens", "cached_tokens",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Filter:
    """All that are given must hold. Days are UTC's, ``until`` is not one of them. Ids; '' is the master key, nobody."""

    since: date | None = None
    until: date | None = None
    key: str | None = None
    team: str | None = None
    user: str | None = None
    model: str | None = None
    provider: str | None = None
    tag: str | None = None


@dataclass(frozen=True, kw_only=True)
class Group:
    """``of``: the values of the dimensions asked for, in their order; days as ``2026-11-27``. ``failed``: answered by
    nobody. ``estimated``: with tokens that are reckoned. ``unpriced``: not in ``cost`` (nano-dollars)."""

    of: tuple[str, ...]
    requests: int
    failed: int
    estimated: int
    unpriced: int
    cost: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int


def by(
    connection: Connection, dimensions: Sequence[Dimension], where: Filter | None = None, *, most: int | None = None
) -> list[Group]:
    """Ordered by the dimensions; without any, one group. A request of several tags counts for each of them. Raises
    ValueError for tags together with users or providers, whose sums nobody keeps."""
    where = where or Filter()
    table = _table({*dimensions, *(each for each in _COLUMNS if each != "day" and getattr(where, each) is not None)})
    columns = [table.c[_column(table, each)] for each in dimensions]
    statement = select(*columns, *(func.coalesce(func.sum(table.c[name]), 0).label(name) for name in _COUNTS))
    for dimension in _COLUMNS:
        wanted = None if dimension == "day" else getattr(where, dimension)
        if wanted is not None:
            statement = statement.where(table.c[_column(table, dimension)] == wanted)
    if where.since is not None:
        statement = statement.where(table.c.day >= where.since)
    if where.until is not None:
        statement = statement.where(table.c.day < where.until)
    statement = statement.group_by(*columns).order_by(*columns).limit(most)
    cut = len(columns)
    return [
        Group(of=tuple(str(value) for value in row[:cut]), **dict(zip(_COUNTS, map(int, row[cut:]), strict=True)))
        for row in connection.execute(statement)
    ]


def drop_days_before(connection: Connection, day: date) -> int:
    """Also the sums: what budgets that never begin anew have counted is forgotten with them. How many rows."""
    return sum(
        connection.execute(delete(table).where(table.c.day < day)).rowcount
        for table in (usage_daily, usage_daily_tags, usage_daily_totals)
    )


def _table(asked: set[Dimension]) -> Table:
    """The smallest that knows them all."""
    if "tag" in asked:
        return usage_daily_tags
    return usage_daily_totals if asked <= {"day", "model", "provider"} else usage_daily


def _column(table: Table, dimension: Dimension) -> str:
    name = _COLUMNS[dimension]
    if name not in table.c:
        raise ValueError(f"usage by tag is not kept by {dimension}: leave one of them out")
    return name
