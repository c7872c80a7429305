"""Requests with an ``Idempotency-Key``: which is the first one, and what it was answered."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from aiops.gateway.accountant.database import Database
from aiops.gateway.shared.accounting import Abandon, Begin, Begun, Done, Finish, First, Renew
from aiops.state.store import idempotency
from aiops.state.usage.spool import Record


async def begin(database: Database, asked: Begin) -> Begun:
    """Raises Unusable, as all here do."""

    def write(connection: Connection) -> Begun:
        found = idempotency.begin(
            connection,
            asked.key,
            asked.idempotency_key,
            request_id=asked.request,
            fingerprint=asked.fingerprint,
            seconds=asked.seconds,
        )
        return Begun() if found is None else Begun(found.request_id, found.fingerprint, found.status, found.answer)

    return await database.write(write)


async def finish(database: Database, asked: Finish) -> Done:
    def write(connection: Connection) -> None:
        idempotency.finish(
            connection,
            asked.key,
            asked.idempotency_key,
            request_id=asked.request,
            status=asked.status,
            answer=asked.answer,
            seconds=asked.seconds,
        )

    await database.write(write)
    return Done()


async def abandon(database: Database, asked: Abandon) -> Done:
    await _abandon(database, [asked.first])
    return Done()


async def renew(database: Database, asked: Renew) -> Done:
    def write(connection: Connection) -> None:
        for each in asked.firsts:
            idempotency.renew(
                connection, each.key, each.idempotency_key, request_id=each.request, seconds=asked.seconds
            )

    await database.write(write)
    return Done()


async def bury(database: Database, records: Sequence[Record]) -> None:
    """What a dead process had under way is not waited for."""
    lost = [First(each.key, each.idempotency_key, each.id) for each in records if each.idempotency_key and each.key]
    if lost:
        await _abandon(database, lost)


async def _abandon(database: Database, firsts: Sequence[First]) -> None:
    def write(connection: Connection) -> None:
        for each in firsts:
            idempotency.abandon(connection, each.key, each.idempotency_key, request_id=each.request)

    await database.write(write)
