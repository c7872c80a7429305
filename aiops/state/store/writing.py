"""How rows are written: whole, noted as a change, and never over what somebody else wrote meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, literal, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from aiops.errors import Precondition
from aiops.state.store import clock, rows
from aiops.state.store.open import is_postgres

R = TypeVar("R", bound=rows.Limited)
AnyInsert = postgresql.Insert | sqlite.Insert


class Exists(Precondition):
    """There is one of this name already."""

    name = "exists"


class Stale(Precondition):
    """What is to be replaced is not there any more as it was read."""

    name = "stale"


def insert(connection: Connection, table: Table) -> AnyInsert:
    """Of the connection's dialect, for its ON CONFLICT."""
    return (postgresql.insert if is_postgres(connection) else sqlite.insert)(table)


def inserted(connection: Connection, statement: AnyInsert) -> bool:
    """Whether it was not there yet."""
    asked = statement.on_conflict_do_nothing().returning(literal(1))
    return connection.execute(asked).one_or_none() is not None


def add(connection: Connection, table: Table, row: R) -> R:
    """The row as it is now. Raises ``Exists``."""
    values = {**rows.written(row), "created_at": clock.now(), "updated_at": clock.now(), "version": 1}
    statement = insert(connection, table).values(values).on_conflict_do_nothing().returning(*table.c)
    found = connection.execute(statement).mappings().one_or_none()
    if found is None:
        raise Exists(f"{_called(table, row)} is there already")
    return rows.read(type(row), found)


def replace(connection: Connection, table: Table, row: R) -> R:
    """The row as it is now. ``version``: that it was read with. Raises ``Stale``; ``Exists`` for another's alias."""
    kept = {*(column.name for column in table.primary_key), "created_at", "created_by"}
    values = {name: value for name, value in rows.written(row).items() if name not in kept}
    statement = (
        update(table)
        .where(_same(table, row), table.c.version == row.version)
        .values({**values, "updated_at": clock.now(), "version": table.c.version + 1})
        .returning(*table.c)
    )
    try:
        found = connection.execute(statement).mappings().one_or_none()
    except IntegrityError as error:
        raise Exists(f"the alias of {_called(table, row)} is another's already") from error
    if found is None:
        raise Stale(f"{_called(table, row)} was changed or removed by somebody else meanwhile", "try again")
    return rows.read(type(row), found)


def add_many(connection: Connection, table: Table, many: Sequence[rows.Limited]) -> None:
    """As they are, their times included. Raises ``Exists`` when any is there, and then the transaction is lost."""
    if not many:
        return
    try:
        connection.execute(insert(connection, table), [{**rows.written(row), "version": 1} for row in many])
    except IntegrityError as error:
        raise Exists(f"one of {len(many)} rows of {table.name} is there already") from error


def remove(connection: Connection, table: Table, **identity: str) -> bool:
    """Whether it was there."""
    condition = and_(*(table.c[name] == value for name, value in identity.items()))
    return connection.execute(delete(table).where(condition)).rowcount > 0


def _same(table: Table, row: rows.Limited) -> ColumnElement[bool]:
    return and_(*(column == getattr(row, column.name) for column in table.primary_key))


def _called(table: Table, row: rows.Limited) -> str:
    words = ("name",) if table.name == "keys" else tuple(column.name for column in table.primary_key)
    return f"{table.name[:-1].replace('_', ' ')} {' '.join(str(getattr(row, word)) for word in words)}"


def one(connection: Connection, kind: type[R], table: Table, where: Mapping[str, Any]) -> R | None:
    condition = and_(*(table.c[name] == value for name, value in where.items()))
    found = connection.execute(table.select().where(condition)).mappings().one_or_none()
    return None if found is None else rows.read(kind, found)


def newest(connection: Connection, kind: type[R], table: Table, size: int, *where: ColumnElement[bool]) -> list[R]:
    """The rows that hold, the newest first."""
    statement = table.select().where(*where).order_by(table.c.created_at.desc(), table.c.id.desc()).limit(size)
    return [rows.read(kind, row) for row in connection.execute(statement).mappings()]


def given(*each: tuple[Callable[[Any, Any], Any], ColumnElement[Any], Any]) -> list[ColumnElement[bool]]:
    """Conditions as ``(operator.eq, column, value)``, without those whose value is None: not asked for."""
    return [compare(column, value) for compare, column, value in each if value is not None]
