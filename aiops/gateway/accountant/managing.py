"""A request to the management API, from the socket to who answers it and back."""

from __future__ import annotations

from aiops.gateway.accountant.database import Database
from aiops.gateway.shared.accounting import Manage, Managed


async def manage(database: Database, request: Manage) -> Managed:
    """Raises Unusable."""
    # Few gateways are asked for it, and memory is kept small.
    from aiops.gateway.accountant.management import manage as managing

    asked = managing.Request(
        method=request.method,
        path=request.path,
        query=request.query,
        body=request.body,
        who=request.who,
        source=request.from_where,
        changed_by=request.changed_by,
    )
    answer = await database.use(lambda engine: managing.manage(engine, asked))
    return Managed(answer.status, answer.body)
