"""Desired state -> release: every rendered file, as bytes. Same input, same bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from aiops.render import gateway, lanes, litellm, routes, routing
from aiops.spec.routes.routes import RouteTable
from aiops.spec.routes.summary import summarise
from aiops.spec.shapes.model import DesiredState


def render(state: DesiredState, table: RouteTable, *, aiops_version: str) -> dict[str, bytes]:
    """Path -> bytes of one release."""
    return {
        litellm.NAME: litellm.litellm_config(state, table, aiops_version=aiops_version),
        gateway.NAME: gateway.gateway_json(state, table),
        routing.NAME: routing.routing_json(table),
        lanes.NAME: lanes.lanes_json(state, table),
        routes.NAME: routes.routes_json(table, summarise(state)),
    }


def digest(release: Mapping[str, bytes]) -> str:
    """SHA-256 (hex) over the paths and bytes of a release."""
    total = hashlib.sha256()
    for path in sorted(release):
        total.update(f"{path}\0{len(release[path])}\0".encode())
        total.update(release[path])
    return total.hexdigest()
