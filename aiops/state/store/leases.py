"""One at a time, whatever dies or sleeps meanwhile. The clock is the database's.

Each holder gets an ``epoch`` that is higher than all before. Who has slept through the end of a lease does not know:
so what is done under one is done in a transaction that begins with ``hold``, and is refused when it is another's.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, or_, select, update

from aiops.errors import Precondition
from aiops.state.store import clock, writing
from aiops.state.store.open import is_postgres
from aiops.state.store.tables import leases


class Fenced(Precondition):
    """The lease is another's now, or it is over."""

    name = "fenced"


@dataclass(frozen=True)
class Lease:
    """``left``: seconds, when it was taken or renewed."""

    name: str
    holder: str
    epoch: int
    left: float


def take(connection: Connection, name: str, holder: str, seconds: float) -> Lease | None:
    """None: another one holds it. Who takes what it holds already gets a new epoch: it may have died and come back."""
    lasting = int(seconds * clock.SECOND)
    statement = writing.insert(connection, leases).values(
        name=name, holder=holder, epoch=1, expires_at=clock.now() + lasting
    )
    statement = statement.on_conflict_do_update(
        index_elements=["name"],
        set_={"holder": holder, "epoch": leases.c.epoch + 1, "expires_at": clock.now() + lasting},
        where=or_(leases.c.holder.is_(None), leases.c.holder == holder, leases.c.expires_at <= clock.now()),
    )
    epoch = connection.execute(statement.returning(leases.c.epoch)).scalar_one_or_none()
    return None if epoch is None else Lease(name, holder, epoch, seconds)


def renew(connection: Connection, lease: Lease, seconds: float) -> Lease:
    """Raises ``Fenced`` when it is over, even if nobody else has taken it."""
    done = connection.execute(
        update(leases)
        .where(leases.c.name == lease.name, leases.c.epoch == lease.epoch, leases.c.expires_at > clock.now())
        .values(expires_at=clock.now() + int(seconds * clock.SECOND))
    )
    if not done.rowcount:
        raise _fenced(lease)
    return Lease(lease.name, lease.holder, lease.epoch, seconds)


def hold(connection: Connection, lease: Lease) -> None:
    """Nobody can take it until this transaction ends. Raises ``Fenced`` when it is over already."""
    statement = select(leases.c.epoch).where(
        leases.c.name == lease.name, leases.c.epoch == lease.epoch, leases.c.expires_at > clock.now()
    )
    if is_postgres(connection):
        statement = statement.with_for_update(read=True)
    if connection.execute(statement).scalar_one_or_none() is None:
        raise _fenced(lease)


def release(connection: Connection, lease: Lease) -> None:
    """The next one need not wait. The epoch stays, so that the next is higher."""
    connection.execute(
        update(leases)
        .where(leases.c.name == lease.name, leases.c.epoch == lease.epoch)
        .values(holder=None, expires_at=0)
    )


def holder(connection: Connection, name: str) -> Lease | None:
    """Who holds it now."""
    left = (leases.c.expires_at - clock.now()).label("left")
    statement = select(leases.c.holder, leases.c.epoch, left).where(leases.c.name == name, left > 0)
    row = connection.execute(statement).one_or_none()
    return None if row is None else Lease(name, row.holder, row.epoch, row.left / clock.SECOND)


def forget(connection: Connection, prefix: str) -> int:
    """Drop those whose names begin so and that nobody holds; only for names that are never used again."""
    over = leases.c.expires_at <= clock.now()
    done = connection.execute(delete(leases).where(leases.c.name.startswith(prefix, autoescape=True), over))
    return done.rowcount


def _fenced(lease: Lease) -> Fenced:
    return Fenced(f"the lease `{lease.name}` (epoch {lease.epoch}) is not held by {lease.holder} any more", "try again")
