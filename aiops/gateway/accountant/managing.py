"""A request to the management API, from the socket to who answers it and back."""

from __future__ import annotations

from aiops.gateway.accountant.database import Database
from aiops.gateway.shared.accounting import Manage, Managed


async def manage(database: Database, request: Manage) -> Managed:
    """Raises Unusable."""
    message = f"{request.method} {request.path} is not answered by this version of aiops"
    return Managed(501, {"error": {"message": message, "type": "not_supported", "param": None, "code": "501"}})
