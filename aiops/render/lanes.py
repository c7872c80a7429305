"""``lanes.json``: which deployment the gateway asks directly, and how."""

from __future__ import annotations

from aiops.spec.lanes.decide import decide
from aiops.spec.routes.routes import RouteTable
from aiops.spec.shapes.model import DesiredState

NAME = "lanes.json"


def lanes_json(state: DesiredState, table: RouteTable) -> bytes:
    """Deterministic JSON; read with ``Lanes.from_json``."""
    return decide(state, table).to_json()
