"""Rows of users."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select, tuple_

from aiops.state.store import changes, rows, writing
from aiops.state.store.keys import Cursor
from aiops.state.store.rows import User
from aiops.state.store.tables import users


def get(connection: Connection, id: str) -> User | None:
    return writing.one(connection, User, users, {"id": id})


def get_by_email(connection: Connection, email: str) -> list[User]:
    found = connection.execute(users.select().where(users.c.email == email).order_by(users.c.id)).mappings()
    return [rows.read(User, row) for row in found]


def page(connection: Connection, *, after: Cursor | None = None, size: int = 100) -> list[User]:
    """The newest first."""
    statement = select(*users.c).order_by(users.c.created_at.desc(), users.c.id.desc()).limit(size)
    if after is not None:
        statement = statement.where(tuple_(users.c.created_at, users.c.id) < tuple_(after.created_at, after.id))
    return [rows.read(User, row) for row in connection.execute(statement).mappings()]


def cursor(last: User) -> Cursor:
    return Cursor(last.created_at, last.id)


def add(connection: Connection, user: User) -> User:
    """The row as it is now. Raises ``writing.Exists``."""
    changes.note(connection, "user", user.id)
    return writing.add(connection, users, user)


def replace(connection: Connection, user: User) -> User:
    """Write ``user`` over the row whose version it has; the row as it is now. Raises ``writing.Stale``."""
    changes.note(connection, "user", user.id)
    return writing.replace(connection, users, user)


def remove(connection: Connection, id: str) -> bool:
    """The row; whether it was there. What becomes of its keys is the caller's."""
    changes.note(connection, "user", id)
    return writing.remove(connection, users, id=id)


def add_many(connection: Connection, many: Sequence[User]) -> None:
    """As they are, with the times that they have: an import. Raises ``writing.Exists``."""
    changes.note(connection, "all", "")
    writing.add_many(connection, users, many)
