"""``routing.json``: the rules by which the gateway leads requests to what LiteLLM serves."""

from __future__ import annotations

from aiops.spec.routes.routes import RouteTable

NAME = "routing.json"


def routing_json(table: RouteTable) -> bytes:
    """Deterministic JSON; read with ``RoutingTable.from_json``."""
    return table.rules.to_json()
