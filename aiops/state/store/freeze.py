"""A database that is being moved takes no more writes: neither of people, nor of what was used. Until a deadline, so
that one whose mover was killed thaws by itself."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select, text

from aiops.errors import Precondition
from aiops.state.store import clock, writing
from aiops.state.store.open import is_postgres
from aiops.state.store.tables import meta

_NAME = "frozen"
LOCK = 0x41694F73 << 8
"""Of Postgres: those who write hold it shared, so that who has frozen it sees all that was written."""


class Frozen(Precondition):
    """It is being moved."""

    name = "database_frozen"


def freeze(connection: Connection, seconds: float, why: str) -> None:
    """``why``: what goes on, for who is refused. Said again, it is longer."""
    if is_postgres(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    value = f"{clock.read(connection) + int(seconds * clock.SECOND)} {why}"
    statement = writing.insert(connection, meta).values(name=_NAME, value=value)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"value": value}))


def thaw(connection: Connection) -> None:
    connection.execute(delete(meta).where(meta.c.name == _NAME))


def require_thawed(connection: Connection) -> None:
    """To be said first in a transaction that writes. Raises Frozen."""
    if is_postgres(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock_shared(:lock)"), {"lock": LOCK})
    value = connection.scalar(select(meta.c.value).where(meta.c.name == _NAME))
    if value is None:
        return
    until, _, why = value.partition(" ")
    if int(until) > clock.read(connection):
        raise Frozen(f"the database takes no changes now: {why}", "try again when that has ended")
