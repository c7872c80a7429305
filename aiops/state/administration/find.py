"""Which key is meant: people say its alias, programs its id or hash, LiteLLM's clients the key itself."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Connection, select

from aiops.errors import UnknownName, UsageError
from aiops.state import tokens
from aiops.state.administration.request import Unknown
from aiops.state.store import rows
from aiops.state.store.clock import SECOND
from aiops.state.store.tables import key_hashes, keys

NEAR = 1000  # aliases that are looked through for one that is near
SHOWN = "sk-..."


class Revoked(Unknown):
    """The key that was called so was revoked."""

    def __init__(self, row: rows.Key, said: str) -> None:
        self.kind = "key"
        since = f"{datetime.fromtimestamp((row.revoked_at or 0) / SECOND, UTC):%Y-%m-%d %H:%M} UTC"
        UnknownName.__init__(
            self,
            f"the key `{said}` ({row.name}) is revoked since {since}",
            f"it is found by its id, {row.id}; `aiops keys create` makes another one",
        )


def key(connection: Connection, said: str, *, by_alias: bool = True) -> rows.Key:
    """By id, hash, alias, shown name (``sk-...abcd``) or the key itself; those that were revoked last.

    Raises Unknown, which never repeats a key, for an alias that was a revoked key's Revoked, and UsageError when
    several are meant.
    """
    if said.startswith(tokens.PREFIX) and not said.startswith(SHOWN):
        found = _by_hash(connection, tokens.hashed(said))
        if found is None:
            raise Unknown("key", tokens.name(said))
        return found
    ways = [keys.c.id == said]
    if by_alias:
        ways += [keys.c.alias == said, keys.c.name == said]
    for way in ways:
        if (found := _by(connection, way)) is not None:
            return found
    if tokens.is_hash(said) and (found := _by_hash(connection, said)) is not None:
        return found
    if by_alias and (ended := _revoked(connection, said)) is not None:
        raise Revoked(ended, said)
    raise Unknown("key", said, _aliases(connection) if by_alias else ())


def hashes(connection: Connection, ids: list[str]) -> dict[str, str]:
    """The newest hash of each of these keys: LiteLLM's ``token``."""
    found = connection.execute(
        select(key_hashes.c.key_id, key_hashes.c.hash)
        .where(key_hashes.c.key_id.in_(ids))
        .order_by(key_hashes.c.expires_at.asc().nulls_last(), key_hashes.c.created_at)
    )
    return {row.key_id: row.hash for row in found}


def _revoked(connection: Connection, alias: str) -> rows.Key | None:
    """The one that was called so last."""
    was = keys.c.alias.startswith(f"{alias} (revoked ", autoescape=True)
    found = select(keys).where(was, keys.c.revoked_at.is_not(None)).order_by(keys.c.revoked_at.desc()).limit(1)
    row = connection.execute(found).mappings().one_or_none()
    return None if row is None else rows.read(rows.Key, row)


def _by_hash(connection: Connection, hash: str) -> rows.Key | None:
    id = connection.scalar(select(key_hashes.c.key_id).where(key_hashes.c.hash == hash))
    return _by(connection, keys.c.id == id) if id is not None else None


def _by(connection: Connection, way: ColumnElement[bool]) -> rows.Key | None:
    many = [rows.read(rows.Key, row) for row in connection.execute(select(keys).where(way).limit(20)).mappings()]
    found = [each for each in many if each.revoked_at is None] or many
    if len(found) > 1:
        raise UsageError(
            f"{len(found)} keys are called {found[0].name}",
            "say which by its id: " + ", ".join(f"{each.id} ({each.alias or 'no alias'})" for each in found[:5]),
        )
    return found[0] if found else None


def _aliases(connection: Connection) -> list[str]:
    named = select(keys.c.alias).where(keys.c.alias.is_not(None), keys.c.revoked_at.is_(None)).limit(NEAR)
    return [alias for alias in connection.scalars(named) if alias is not None]
