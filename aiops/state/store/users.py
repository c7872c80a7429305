"""Rows of users."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from aiops.state.store import changes, rows, writing
from aiops.state.store.rows import User
from aiops.state.store.tables import users


def get(connection: Connection, id: str) -> User | None:
    return writing.one(connection, User, users, {"id": id})


def get_by_email(connection: Connection, email: str) -> list[User]:
    found = connection.execute(users.select().where(users.c.email == email).order_by(users.c.id)).mappings()
    return [rows.read(User, row) for row in found]


def page(connection: Connection, *, size: int = 100) -> list[User]:
    """The newest first."""
    return writing.newest(connection, User, users, size)


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
