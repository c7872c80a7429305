"""A request to the management API, from the socket to who answers it and back."""

from __future__ import annotations

from aiops.gateway.accountant.database import Database
from aiops.gateway.accountant.management.errors import Answer, Refused, refusal
from aiops.gateway.accountant.management.manage import TRIES, Again, Request, answer, reads
from aiops.gateway.shared.accounting import Manage, Managed

BUSY = refusal(409, "Others changed the same thing at the same time. Try again.", "internal_error")


async def manage(database: Database, request: Manage) -> Managed:
    """Raises Unusable."""
    asked = Request(
        method=request.method,
        path=request.path,
        query=request.query,
        body=request.body,
        who=request.who,
        source=request.from_where,
        changed_by=request.changed_by,
    )
    found = await _answered(database, asked)
    return Managed(found.status, found.body)


async def _answered(database: Database, asked: Request) -> Answer:
    do = database.read if reads(asked) else database.write
    for _ in range(TRIES):
        try:
            return await do(lambda connection: answer(connection, asked))
        except Refused as refused:
            return refused.answer
        except Again:
            continue
    return BUSY
