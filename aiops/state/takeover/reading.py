"""LiteLLM's rows out of its database, all of them as they are at one moment. Nothing is written there, nor can be.

Versions differ: what columns there are is asked first, and only those are named that are both there and known here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import MISSING, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString, TypeVar, cast

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from aiops.errors import Precondition
from aiops.state import windows
from aiops.state.takeover import amounts, litellm
from aiops.state.takeover.address import Address
from aiops.state.takeover.amounts import Notes
from aiops.state.takeover.litellm import Database

CONNECT_SECONDS = 10
STATEMENT_SECONDS = 300
_BATCH = 5_000
_LOG = "LiteLLM_SpendLogs"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS: LiteralString = (
    "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = %s AND table_name LIKE %s"
)

T = TypeVar("T")
Columns = dict[str, set[str]]


class Unreadable(Precondition):
    """LiteLLM's database cannot be read, or is none."""

    name = "litellm_database"


def read(address: Address) -> Database:
    """Raises ``Unreadable``."""
    with _explained(address), _connected(address) as connection:
        now = _microseconds(connection.execute("SELECT now()").fetchone()[0])  # type: ignore[index]
        columns = _columns(connection, address)
        found = {
            litellm.PLACES[kind]: tuple(_rows(connection, address, kind, columns))
            for kind in (*litellm.NEEDED, *litellm.LATER)
            if kind.TABLE in columns
        }
        counts = {table: _count(connection, address, table) for table in litellm.COUNTED if table in columns}
        database = Database(
            source=address.shown, now=now, rows_elsewhere=counts, missing=tuple(_missing(columns)), **cast(Any, found)
        )
        return _with_window_spends(connection, address, database, columns)


@contextmanager
def _connected(address: Address) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    parameters = {
        "connect_timeout": str(CONNECT_SECONDS),
        "application_name": "aiops keys import",
        **address.parameters,
    }
    # Nothing is prepared: behind PgBouncer a statement would be another connection's.
    connection = psycopg.connect(**parameters, prepare_threshold=None, row_factory=tuple_row)  # type: ignore[arg-type]
    try:
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        # All digits of a float also from a server before 12, and times as LiteLLM means them.
        connection.execute("SET LOCAL extra_float_digits = 3")
        connection.execute("SET LOCAL timezone = 'UTC'")
        connection.execute(sql.SQL("SET LOCAL statement_timeout = {}").format(STATEMENT_SECONDS * 1000))
        yield connection
        connection.rollback()
    finally:
        connection.close()


def _columns(connection: psycopg.Connection[tuple[Any, ...]], address: Address) -> Columns:
    found: Columns = {}
    for table, column in connection.execute(_COLUMNS, (address.schema, "LiteLLM\\_%")):
        found.setdefault(table, set()).add(column)
    problems = list(_lacking(found))
    if problems:
        raise Unreadable(
            f"{address.shown} is no LiteLLM database that aiops knows: " + "; ".join(problems),
            "is it the right database, its schema `public` (or `?schema=NAME` in the URL), and may this user read it?",
        )
    return found


def _lacking(columns: Columns) -> Iterator[str]:
    for each in litellm.NEEDED:
        if each.TABLE not in columns:
            yield f"the table {each.TABLE} is not there, or not to be seen by this user"
    for kind in (*litellm.NEEDED, *litellm.LATER):
        if kind.TABLE in columns and (without := _needed(kind) - columns[kind.TABLE]):
            yield f"{kind.TABLE} has no column {', '.join(sorted(without))}"


def _missing(columns: Columns) -> Iterator[str]:
    for kind in (*litellm.NEEDED, *litellm.LATER):
        if kind.TABLE not in columns:
            yield kind.TABLE
            continue
        yield from (f"{kind.TABLE}.{each.name}" for each in fields(kind) if each.name not in columns[kind.TABLE])


def _rows(
    connection: psycopg.Connection[tuple[Any, ...]], address: Address, kind: type[T], columns: Columns
) -> Iterator[T]:
    table = cast(Any, kind).TABLE
    names = [each.name for each in fields(cast(Any, kind)) if each.name in columns[table]]
    needed = _needed(kind)
    statement = sql.SQL("SELECT {} FROM {}").format(
        sql.SQL(", ").join(map(sql.Identifier, names)), sql.Identifier(address.schema, table)
    )
    with connection.cursor() as cursor:
        cursor.execute(statement)
        while batch := cursor.fetchmany(_BATCH):
            for row in batch:
                given = {name: _value(value) for name, value in zip(names, row, strict=True)}
                yield kind(**{name: each for name, each in given.items() if each is not None or name in needed})


def _needed(kind: type) -> set[str]:
    return {each.name for each in fields(cast(Any, kind)) if each.default is MISSING}


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return _microseconds(value)
    return tuple(value) if isinstance(value, list) and all(isinstance(each, str) for each in value) else value


def _microseconds(value: datetime) -> int:
    """LiteLLM's times have no zone, and are UTC."""
    since = (value if value.tzinfo is not None else value.replace(tzinfo=UTC)) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _count(connection: psycopg.Connection[tuple[Any, ...]], address: Address, table: str) -> int:
    statement = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(address.schema, table))
    return int(connection.execute(statement).fetchone()[0])  # type: ignore[index]


def _with_window_spends(
    connection: psycopg.Connection[tuple[Any, ...]], address: Address, database: Database, columns: Columns
) -> Database:
    """Of several budgets of a key or team LiteLLM keeps what was spent in a table; before some version, and for a
    window that is new, it adds up its log. So does this, for the windows that are now."""
    if not {"api_key", "team_id", "startTime", "spend"} <= columns.get(_LOG, set()):
        return database
    there = {(each.entity_type, each.entity_id, each.window_duration): each for each in database.window_spends}
    added = []
    for kind, id, duration, began in _windows(database):
        row = there.get((kind, id, duration))
        if row is None or row.window_start < began:
            spend = _logged(connection, address, "api_key" if kind == "key" else "team_id", id, began)
            added.append(
                litellm.WindowSpend(
                    entity_type=kind, entity_id=id, window_duration=duration, window_start=began, spend=spend
                )
            )
    replaced = {(each.entity_type, each.entity_id, each.window_duration) for each in added}
    kept = [row for name, row in there.items() if name not in replaced]
    return replace(database, window_spends=(*kept, *added))


def _windows(database: Database) -> Iterator[tuple[str, str, str, int]]:
    """Kind, id, duration, and when it began."""
    owners: list[tuple[str, str, Any]] = [("key", each.token, each.budget_limits) for each in database.keys]
    owners += [("team", each.team_id, each.budget_limits) for each in database.teams]
    for kind, id, value in owners:
        for limit in amounts.budget_limits(value, Notes(kind, id)):
            began = windows.window(limit.budget_duration, database.now / 1_000_000).begins
            yield kind, id, limit.budget_duration or "", began * 1_000_000


def _logged(
    connection: psycopg.Connection[tuple[Any, ...]], address: Address, column: str, id: str, since: int
) -> float:
    statement = sql.SQL('SELECT sum(spend) FROM {} WHERE {} = %s AND "startTime" >= %s').format(
        sql.Identifier(address.schema, _LOG), sql.Identifier(column)
    )
    began = (_EPOCH + timedelta(microseconds=since)).replace(tzinfo=None)
    return float(connection.execute(statement, (id, began)).fetchone()[0] or 0.0)  # type: ignore[index]


@contextmanager
def _explained(address: Address) -> Iterator[None]:
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise Unreadable(
            f"{address.shown}: {_reason(error)}",
            f"let this user read: GRANT SELECT ON ALL TABLES IN SCHEMA {address.schema} TO …",
        ) from error
    except psycopg.Error as error:
        hint = "is it running, and are address, user and password right?"
        if isinstance(error, psycopg.errors.QueryCanceled):
            hint = f"a statement took more than {STATEMENT_SECONDS} s: try again when there is less to do there"
        raise Unreadable(f"LiteLLM's database {address.shown} cannot be read: {_reason(error)}", hint) from error


def _reason(error: psycopg.Error) -> str:
    """The driver's own words, on one line. libpq never repeats a password."""
    return " ".join(str(error).split())
