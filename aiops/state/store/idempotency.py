"""A request that is tried again with the same `Idempotency-Key` finds the first one, and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select, update

from aiops.state.store import clock, writing
from aiops.state.store.tables import idempotency


@dataclass(frozen=True, kw_only=True)
class Entry:
    """``request_id``: of the first one. ``fingerprint``: of its body, another one is another request. ``status`` and
    ``answer``: None until it has ended."""

    request_id: str
    fingerprint: str
    status: int | None = None
    answer: Mapping[str, Any] | None = None


def begin(
    connection: Connection, key_id: str, idempotency_key: str, *, request_id: str, fingerprint: str, seconds: float
) -> Entry | None:
    """None: this is the first, now known for ``seconds``. Else the first one."""
    mine = (idempotency.c.key_id == key_id, idempotency.c.idempotency_key == idempotency_key)
    connection.execute(delete(idempotency).where(*mine, idempotency.c.expires_at <= clock.now()))
    statement = writing.insert(connection, idempotency).values(
        key_id=key_id,
        idempotency_key=idempotency_key,
        request_id=request_id,
        fingerprint=fingerprint,
        expires_at=clock.now() + int(seconds * clock.SECOND),
    )
    columns = [idempotency.c[name] for name in ("request_id", "fingerprint", "status", "answer")]
    while not writing.inserted(connection, statement):
        row = connection.execute(select(*columns).where(*mine)).one_or_none()
        if row is not None:  # else it was pruned in between
            return Entry(request_id=row.request_id, fingerprint=row.fingerprint, status=row.status, answer=row.answer)
    return None


def finish(
    connection: Connection,
    key_id: str,
    idempotency_key: str,
    *,
    request_id: str,
    status: int,
    answer: Mapping[str, Any] | None,
    seconds: float | None = None,
) -> bool:
    """Keep the answer, for ``seconds`` from now where that is said. False: it is not this request's any more."""
    values: dict[str, Any] = {"status": status, "answer": None if answer is None else dict(answer)}
    if seconds is not None:
        values["expires_at"] = clock.now() + int(seconds * clock.SECOND)
    done = connection.execute(
        update(idempotency)
        .where(
            idempotency.c.key_id == key_id,
            idempotency.c.idempotency_key == idempotency_key,
            idempotency.c.request_id == request_id,
        )
        .values(**values)
    )
    return done.rowcount > 0


def renew(connection: Connection, key_id: str, idempotency_key: str, *, request_id: str, seconds: float) -> None:
    """It still runs, and is known for another ``seconds``."""
    connection.execute(
        update(idempotency)
        .where(
            idempotency.c.key_id == key_id,
            idempotency.c.idempotency_key == idempotency_key,
            idempotency.c.request_id == request_id,
            idempotency.c.status.is_(None),
        )
        .values(expires_at=clock.now() + int(seconds * clock.SECOND))
    )


def abandon(connection: Connection, key_id: str, idempotency_key: str, *, request_id: str) -> None:
    """It failed, or its process died: the next try is a first one."""
    connection.execute(
        delete(idempotency).where(
            idempotency.c.key_id == key_id,
            idempotency.c.idempotency_key == idempotency_key,
            idempotency.c.request_id == request_id,
            idempotency.c.status.is_(None),
        )
    )


def prune(connection: Connection) -> int:
    """Drop those that are over; how many."""
    return connection.execute(delete(idempotency).where(idempotency.c.expires_at <= clock.now())).rowcount
