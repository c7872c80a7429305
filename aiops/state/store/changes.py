"""What was changed, in order: the caches of all workers follow it. Every administrative write notes one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, delete, func, insert, select, text, union

from aiops.state.store import clock, freeze
from aiops.state.store.open import is_postgres
from aiops.state.store.tables import changes, key_hashes, keys

Kind = Literal["key", "hash", "team", "user", "member", "budget", "all"]
CHANNEL = "aiops_changes"
"""Of Postgres' NOTIFY; the payload is the number of the change."""

_LOCK = 0x41694F71 << 8


@dataclass(frozen=True)
class Change:
    """``kind`` and ``id`` of what was changed; ``hash``: one that a key no longer has; ``all``: more than is told."""

    seq: int
    kind: Kind
    id: str


def note(connection: Connection, kind: Kind, id: str) -> int:
    """Its number. To be called before the row is touched: on Postgres those who note wait for each other until they
    have committed, so that nobody who has seen one number can find a lower one later, and nobody deadlocks. Raises
    Frozen."""
    freeze.require_thawed(connection)
    if is_postgres(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    row = insert(changes).values(at=clock.now(), kind=kind, id=id).returning(changes.c.seq)
    seq: int = connection.execute(row).scalar_one()
    if is_postgres(connection):
        connection.execute(text("SELECT pg_notify(:channel, :seq)"), {"channel": CHANNEL, "seq": str(seq)})
    return seq


def newest(connection: Connection) -> int:
    """The number of the last one, 0 before the first."""
    return connection.scalar(select(func.max(changes.c.seq))) or 0


def since(connection: Connection, seq: int, most: int = 1000) -> list[Change]:
    """Those after ``seq``, in order. Who is given ``most`` has to ask again."""
    columns = (changes.c.seq, changes.c.kind, changes.c.id)
    rows = connection.execute(select(*columns).where(changes.c.seq > seq).order_by(changes.c.seq).limit(most))
    return [Change(row.seq, row.kind, row.id) for row in rows]


def hashes(connection: Connection, of: Iterable[Change], most: int = 1000) -> list[str] | None:
    """Of all keys that these changes are about. None: all there are, or more than ``most``."""
    by_kind: dict[str, set[str]] = {}
    for change in of:
        by_kind.setdefault(change.kind, set()).add(change.id)
    # Whom a budget is lent to is not looked up: it is changed rarely, and concerns keys, teams, users and members.
    if by_kind.keys() & {"all", "budget"}:
        return None
    found = by_kind.pop("hash", set())
    columns = {"key": key_hashes.c.key_id, "team": keys.c.team_id, "user": keys.c.user_id}
    # A member's id begins with the team's: the keys of the team are few enough.
    for member in by_kind.pop("member", set()):
        by_kind.setdefault("team", set()).add(member_of(member)[0])
    wanted = [
        select(key_hashes.c.hash)
        .join(keys, keys.c.id == key_hashes.c.key_id, isouter=kind == "key")
        .where(columns[kind].in_(sorted(ids)))
        for kind, ids in by_kind.items()
    ]
    if wanted:
        found |= set(connection.scalars(union(*wanted).limit(most + 1)))
    return sorted(found) if len(found) <= most else None


def prune(connection: Connection, before: int) -> int:
    """Drop those made before (microseconds since 1970), but for the last one; how many that were."""
    last = select(func.max(changes.c.seq)).scalar_subquery()
    done = connection.execute(delete(changes).where(changes.c.at < before, changes.c.seq < last))
    return done.rowcount


def member_id(team: str, user: str) -> str:
    """Of the account of a member, in one word."""
    return f"{_quoted(team)}/{user}"


def member_of(id: str) -> tuple[str, str]:
    """The team and the user of ``member_id``."""
    team, _, user = id.partition("/")
    return team.replace("%2F", "/").replace("%25", "%"), user


def _quoted(word: str) -> str:
    return word.replace("%", "%25").replace("/", "%2F")
