"""Keys: made, changed, replaced by another one, blocked, ended. Each act is whole, with its line in the audit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, insert, or_, select, update

from aiops.errors import Precondition
from aiops.state import tokens
from aiops.state.administration import journal, limits
from aiops.state.administration.journal import Actor, Done
from aiops.state.administration.request import UNSET, Invalid, Problem, said
from aiops.state.administration.requests import KEY_TYPES, KeyRequest
from aiops.state.store import clock, rows
from aiops.state.store.rows import Key
from aiops.state.store.tables import key_hashes, keys, teams


@dataclass(frozen=True)
class Made:
    """``key``: to be shown once. ``seq``: of the change."""

    row: Key
    key: str
    seq: int


def create(connection: Connection, asked: KeyRequest, by: Actor) -> Made:
    """Raises Invalid with every problem."""
    at = clock.read(connection)
    key = said(asked.key, None) or tokens.make()
    row = replace(Key(id=uuid4().hex, name=tokens.name(key)), **columns(asked, at))
    _require(connection, row, None, _taken(connection, key, "key"))
    if spent := said(asked.spend, None):
        row = replace(row, base_spend=spent, base_at=at)
    done = journal.add(connection, row, by, "keys create")
    _hash(connection, done.row, key, at)
    assert done.seq is not None
    return Made(done.row, key, done.seq)


def change(connection: Connection, row: Key, asked: KeyRequest, by: Actor) -> Done[Key]:
    """``spend`` sets what counts as spent, as ``reset_spend`` does. Raises Invalid with every problem."""
    _require_live(row)
    at = clock.read(connection)
    values = columns(asked, at)
    own = [] if asked.key is UNSET else [Problem("key", "cannot be changed: `aiops keys rotate` makes another one")]
    _require(connection, replace(row, **values), row, own)
    return journal.change(connection, row, {**values, **_spent(row, asked, at)}, by, "keys update")


def rotate(connection: Connection, row: Key, asked: KeyRequest, by: Actor, grace: int = 0) -> Made:
    """Another key in its place; ``grace``: seconds that the old one stays valid. ``asked`` may change the rest too.

    Raises Invalid with every problem.
    """
    _require_live(row)
    at = clock.read(connection)
    key = said(asked.key, None) or tokens.make()
    values = {**columns(asked, at), "name": tokens.name(key)}
    _require(connection, replace(row, **values), row, _taken(connection, key, "new_key"))
    ends = at + grace * clock.SECOND
    told = {"old_key_valid_until": ends}
    done = journal.change(connection, row, {**values, **_spent(row, asked, at)}, by, "keys rotate", told)
    lasts_longer = or_(key_hashes.c.expires_at.is_(None), key_hashes.c.expires_at > ends)
    connection.execute(update(key_hashes).where(key_hashes.c.key_id == row.id, lasts_longer).values(expires_at=ends))
    _hash(connection, row, key, at)
    assert done.seq is not None
    return Made(done.row, key, done.seq)


def block(connection: Connection, row: Key, by: Actor, blocked: bool = True) -> Done[Key]:
    _require_live(row)
    return journal.change(connection, row, {"blocked": blocked}, by, "keys block" if blocked else "keys unblock")


def revoke(connection: Connection, row: Key, by: Actor) -> Done[Key]:
    """For good. The row stays, for reports; its alias is free again."""
    if row.revoked_at is not None:
        return Done(row, None)
    alias = f"{row.alias} (revoked {row.id[:8]})" if row.alias else None
    return journal.change(connection, row, {"revoked_at": clock.read(connection), "alias": alias}, by, "keys revoke")


def revoke_all_of(connection: Connection, by: Actor, *, team: str | None = None, user: str | None = None) -> list[str]:
    """Those of a team or a user that ends; their ids."""
    whose = keys.c.team_id == team if team is not None else keys.c.user_id == user
    live = connection.execute(select(keys).where(whose, keys.c.revoked_at.is_(None))).mappings().all()
    return [revoke(connection, rows.read(Key, each), by).row.id for each in live]


def reset_spend(connection: Connection, row: Key, to: int, by: Actor) -> Done[Key]:
    """``to`` counts as spent from now on, nano-dollars; what was spent before stays in the ledger."""
    _require_live(row)
    return journal.change(connection, row, limits.anew(row, to, clock.read(connection)), by, "keys reset-spend")


def columns(asked: KeyRequest, at: int) -> dict[str, Any]:
    """By column. ``at``: from when it lives, microseconds."""
    values = asked.given()
    if asked.key_type is not UNSET:
        kind = said(asked.key_type, None) or "default"
        values["key_type"] = kind
        values.setdefault("allowed_routes", KEY_TYPES[kind] or None)
        values.setdefault("admin", kind == "management")
    if asked.lifetime is not UNSET:
        seconds = said(asked.lifetime, None)
        values["expires_at"] = None if seconds is None else at + seconds * clock.SECOND
    return values


def _spent(row: Key, asked: KeyRequest, at: int) -> dict[str, Any]:
    spent = said(asked.spend, None)
    return {} if spent is None else limits.anew(row, spent, at)


def _require(connection: Connection, row: Key, before: Key | None, more: Iterable[Problem]) -> None:
    """Raises Invalid with every problem of the key as it would be."""
    problems = [*_problems(connection, row, before), *more]
    if problems:
        raise Invalid(problems)


def _problems(connection: Connection, row: Key, before: Key | None) -> Iterable[Problem]:
    if row.alias is not None and (before is None or before.alias != row.alias):
        holder = connection.scalar(select(keys.c.name).where(keys.c.alias == row.alias))
        if holder is not None:
            yield Problem("key_alias", f"is taken: `{row.alias}` is {holder}")
        if row.alias.startswith(tokens.PREFIX) or tokens.is_hash(row.alias):
            yield Problem("key_alias", "looks like a key; choose a name")
    if row.team_id is not None and not limits.exists(connection, teams, row.team_id):
        yield Problem("team_id", f"names no team: there is no `{row.team_id}`")
    yield from limits.problems(connection, row)


def _taken(connection: Connection, key: str, field: str) -> list[Problem]:
    holder = connection.scalar(select(key_hashes.c.hash).where(key_hashes.c.hash == tokens.hashed(key)))
    return [] if holder is None else [Problem(field, "is in use already")]


def _hash(connection: Connection, row: Key, key: str, at: int) -> None:
    connection.execute(insert(key_hashes).values(hash=tokens.hashed(key), key_id=row.id, created_at=at))


def _require_live(row: Key) -> None:
    if row.revoked_at is not None:
        raise Precondition(f"the key {row.name} was revoked", "`aiops keys create` makes another one")
