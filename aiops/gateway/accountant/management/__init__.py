"""LiteLLM's management API, answered by the accountant."""

from __future__ import annotations

from aiops.gateway.accountant.database import Database
from aiops.gateway.shared.accounting import Manage, Managed


async def reply(database: Database, request: Manage) -> Managed:
    """Raises Unusable."""
    message = f"{request.method} {request.path} is not answered by this version of aiops"
    return Managed(501, {"error": {"message": message, "type": "not_supported", "param": None, "code": "501"}})
