"""Rows of keys, and the hashes by which they are found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import eq

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, not_, or_, select, tuple_, update

from aiops.state.store import changes, clock, rows, writing
from aiops.state.store.identity import by_hash, by_id
from aiops.state.store.rows import Key
from aiops.state.store.tables import key_hashes, keys

__all__ = ["Cursor", "Filters", "Hash", "by_hash", "by_id"]


@dataclass(frozen=True)
class Hash:
    """sha256 (hex) of a whole key. ``expires_at``: of one that a rotation left valid for a while."""

    hash: str
    key_id: str
    expires_at: int | None = None


@dataclass(frozen=True, kw_only=True)
class Filters:
    """All that are given must hold. ``alias_part``: anywhere in it; reads all rows that the others leave.
    ``live``: neither revoked nor expired (False: one of both)."""

    team_id: str | None = None
    user_id: str | None = None
    alias: str | None = None
    alias_part: str | None = None
    hash: str | None = None
    budget_id: str | None = None
    live: bool | None = None


@dataclass(frozen=True)
class Cursor:
    """After which row a page begins."""

    created_at: int
    id: str


def get(connection: Connection, id: str) -> Key | None:
    return writing.one(connection, Key, keys, {"id": id})


def get_by_alias(connection: Connection, alias: str) -> Key | None:
    return writing.one(connection, Key, keys, {"alias": alias})


def get_by_hash(connection: Connection, hash: str) -> Key | None:
    """The row whose key this is, whatever has become of it."""
    of = select(key_hashes.c.key_id).where(key_hashes.c.hash == hash).scalar_subquery()
    found = connection.execute(keys.select().where(keys.c.id == of)).mappings().one_or_none()
    return None if found is None else rows.read(Key, found)


def page(
    connection: Connection, *, after: Cursor | None = None, size: int = 100, filters: Filters | None = None
) -> list[Key]:
    """The newest first. A page that is full has ``cursor(page[-1])`` for the next."""
    where = _conditions(filters or Filters())
    if after is not None:
        where.append(tuple_(keys.c.created_at, keys.c.id) < tuple_(after.created_at, after.id))
    return writing.newest(connection, Key, keys, size, *where)


def cursor(last: Key) -> Cursor:
    return Cursor(last.created_at, last.id)


def count(connection: Connection, filters: Filters | None = None) -> int:
    """Reads all rows that fit: only for who asked for the number."""
    statement = select(func.count()).select_from(keys).where(*_conditions(filters or Filters()))
    return connection.execute(statement).scalar_one()


def hashes(connection: Connection, ids: Sequence[str]) -> list[Hash]:
    """Of these keys, the newest first."""
    statement = select(key_hashes.c.hash, key_hashes.c.key_id, key_hashes.c.expires_at)
    statement = statement.where(key_hashes.c.key_id.in_(ids)).order_by(key_hashes.c.created_at.desc())
    return [Hash(row.hash, row.key_id, row.expires_at) for row in connection.execute(statement)]


def add(connection: Connection, key: Key, hash: str) -> Key:
    """The row as it is now. Raises ``writing.Exists`` for the id, the alias or the hash of another."""
    changes.note(connection, "key", key.id)
    made = writing.add(connection, keys, key)
    _add_hash(connection, Hash(hash, key.id))
    return made


def replace(connection: Connection, key: Key) -> Key:
    """Write ``key`` over the row whose version it has; the row as it is now. Raises ``writing.Stale``."""
    changes.note(connection, "key", key.id)
    return writing.replace(connection, keys, key)


def remove(connection: Connection, id: str) -> bool:
    """The row and its hashes; whether it was there. Its usage stays."""
    for each in hashes(connection, [id]):
        remove_hash(connection, each.hash)
    changes.note(connection, "key", id)
    return writing.remove(connection, keys, id=id)


def add_hash(connection: Connection, hash: Hash) -> None:
    """Another way to show the same key. Raises ``writing.Exists``."""
    changes.note(connection, "hash", hash.hash)
    _add_hash(connection, hash)


def _add_hash(connection: Connection, hash: Hash) -> None:
    statement = writing.insert(connection, key_hashes).values(
        hash=hash.hash, key_id=hash.key_id, expires_at=hash.expires_at, created_at=clock.now()
    )
    if not writing.inserted(connection, statement):
        raise writing.Exists("this key is there already")


def expire_hash(connection: Connection, hash: str, at: int) -> bool:
    """Valid until ``at`` (microseconds since 1970) from now on; whether it was there."""
    changes.note(connection, "hash", hash)
    done = connection.execute(update(key_hashes).where(key_hashes.c.hash == hash).values(expires_at=at))
    return done.rowcount > 0


def remove_hash(connection: Connection, hash: str) -> bool:
    changes.note(connection, "hash", hash)
    return writing.remove(connection, key_hashes, hash=hash)


def add_many(connection: Connection, many: Sequence[Key], of_them: Iterable[Hash]) -> None:
    """As they are, with the times that they have: an import. Raises ``writing.Exists``."""
    changes.note(connection, "all", "")
    writing.add_many(connection, keys, many)
    found = [{"hash": each.hash, "key_id": each.key_id, "expires_at": each.expires_at} for each in of_them]
    if found:
        connection.execute(insert(key_hashes).values(created_at=clock.now()), found)


def prune(connection: Connection, before: int) -> int:
    """Drop the hashes that expired before (microseconds since 1970) and are not the only one of their key."""
    other = key_hashes.alias()
    another = select(other.c.hash).where(other.c.key_id == key_hashes.c.key_id, other.c.hash != key_hashes.c.hash)
    done = connection.execute(delete(key_hashes).where(key_hashes.c.expires_at < before, another.exists()))
    return done.rowcount


def _conditions(by: Filters) -> list[ColumnElement[bool]]:
    found = writing.given(
        (eq, keys.c.team_id, by.team_id),
        (eq, keys.c.user_id, by.user_id),
        (eq, keys.c.budget_id, by.budget_id),
        (eq, keys.c.alias, by.alias),
    )
    if by.alias_part is not None:
        found.append(keys.c.alias.icontains(by.alias_part, autoescape=True))
    if by.hash is not None:
        found.append(keys.c.id.in_(select(key_hashes.c.key_id).where(key_hashes.c.hash == by.hash)))
    if by.live is not None:
        live = and_(keys.c.revoked_at.is_(None), or_(keys.c.expires_at.is_(None), keys.c.expires_at > clock.now()))
        found.append(live if by.live else not_(live))
    return found
