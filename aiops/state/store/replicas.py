"""Which gateways use this database, and how far their workers follow its changes. Ages are by the database's clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, delete, select

from aiops.state.store import clock, writing
from aiops.state.store.tables import replicas


@dataclass(frozen=True, kw_only=True)
class Replica:
    """``url``: where this one alone is reached. ``applied_seq``: the last change that all its workers know of.
    ``workers``: by pid, for people. ``age``: seconds since it last said so; only when read."""

    id: str
    host: str
    url: str
    generation: int
    applied_seq: int
    workers: Mapping[str, Any] = field(default_factory=dict)
    age: float = 0.0


def seen(connection: Connection, replica: Replica) -> None:
    """To be said each few seconds, and at once when ``applied_seq`` grows."""
    values = {
        "id": replica.id,
        "host": replica.host,
        "url": replica.url,
        "generation": replica.generation,
        "applied_seq": replica.applied_seq,
        "workers": dict(replica.workers),
        "seen_at": clock.now(),
    }
    statement = writing.insert(connection, replicas).values(values)
    rest = {name: value for name, value in values.items() if name != "id"}
    connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=rest))


def live(connection: Connection, seconds: float) -> list[Replica]:
    """Those that were seen within so many seconds, by id."""
    age = (clock.now() - replicas.c.seen_at).label("age")
    statement = select(*replicas.c, age).where(age < int(seconds * clock.SECOND)).order_by(replicas.c.id)
    return [
        Replica(
            id=row.id,
            host=row.host,
            url=row.url,
            generation=row.generation,
            applied_seq=row.applied_seq,
            workers=row.workers or {},
            age=row.age / clock.SECOND,
        )
        for row in connection.execute(statement)
    ]


def leave(connection: Connection, id: str) -> None:
    """It ends, and nobody needs to wait for it."""
    connection.execute(delete(replicas).where(replicas.c.id == id))


def prune(connection: Connection, seconds: float) -> int:
    """Drop those that were not seen for so many seconds; how many."""
    gone = replicas.c.seen_at < clock.now() - int(seconds * clock.SECOND)
    return connection.execute(delete(replicas).where(gone)).rowcount
