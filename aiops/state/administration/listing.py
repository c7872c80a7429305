"""Pages of keys, the newest first: by where the last one ended, and for LiteLLM's clients by number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, func, not_, or_, select, tuple_

from aiops.state.store import clock, rows
from aiops.state.store.keys import Cursor
from aiops.state.store.rows import Key
from aiops.state.store.tables import key_hashes, keys

STATUSES = ("active", "expired", "revoked", "deleted")
"""LiteLLM's words: what is blocked is `revoked`, and what was revoked is `deleted`."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """All that are given must hold. ``part``: anywhere in alias, name or user. ``deleted``: also what was revoked."""

    team: str | None = None
    user: str | None = None
    alias: str | None = None
    hash: str | None = None
    part: str | None = None
    status: str | None = None
    deleted: bool = False


def page(connection: Connection, wanted: Wanted, size: int, after: Cursor | None = None, skip: int = 0) -> list[Key]:
    """``skip`` reads what it leaves out; ``after`` does not."""
    statement = select(keys).where(*_conditions(wanted)).order_by(keys.c.created_at.desc(), keys.c.id.desc())
    if after is not None:
        statement = statement.where(tuple_(keys.c.created_at, keys.c.id) < tuple_(after.created_at, after.id))
    return [rows.read(Key, row) for row in connection.execute(statement.limit(size).offset(skip)).mappings()]


def count(connection: Connection, wanted: Wanted) -> int:
    """Reads them all: for who asks for the number."""
    return connection.scalar(select(func.count()).select_from(keys).where(*_conditions(wanted))) or 0


def of_team(connection: Connection, team: str, size: int = 1000) -> list[Key]:
    return page(connection, Wanted(team=team), size)


def of_user(connection: Connection, user: str, size: int = 1000) -> list[Key]:
    return page(connection, Wanted(user=user), size)


def _conditions(wanted: Wanted) -> Iterator[ColumnElement[bool]]:
    if not wanted.deleted and wanted.status != "deleted":
        yield keys.c.revoked_at.is_(None)
    if wanted.team is not None:
        yield keys.c.team_id == wanted.team
    if wanted.user is not None:
        yield keys.c.user_id == wanted.user
    if wanted.alias is not None:
        yield keys.c.alias == wanted.alias
    if wanted.hash is not None:
        yield keys.c.id.in_(select(key_hashes.c.key_id).where(key_hashes.c.hash == wanted.hash))
    if wanted.part is not None:
        yield or_(
            *(each.icontains(wanted.part, autoescape=True) for each in (keys.c.alias, keys.c.name, keys.c.user_id))
        )
    past = and_(keys.c.expires_at.is_not(None), keys.c.expires_at <= clock.now())
    match wanted.status:
        case "deleted":
            yield keys.c.revoked_at.is_not(None)
        case "revoked":
            yield keys.c.blocked
        case "expired":
            yield and_(not_(keys.c.blocked), past)
        case "active":
            yield and_(not_(keys.c.blocked), or_(keys.c.expires_at.is_(None), keys.c.expires_at > clock.now()))
