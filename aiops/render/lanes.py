"""``lanes.json``: which deployment the gateway asks directly, and how."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aiops.spec.lanes.decide import decide
from aiops.spec.lanes.table import Lanes
from aiops.spec.routes.routes import RouteTable
from aiops.spec.shapes.model import DesiredState

NAME = "lanes.json"


def lanes_json(state: DesiredState, table: RouteTable) -> bytes:
    """Deterministic JSON; read with ``Lanes.from_json``."""
    return decide(state, table).to_json()


def news(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Iterator[str]:
    """What a person is told when a release is the first after those of an aiops that asked everybody by way of
    LiteLLM. ``before`` is empty when nothing serves."""
    if not before or NAME in before or NAME not in after:
        return
    lanes = Lanes.from_json(after[NAME])
    if lanes.direct:
        many = f"{len(lanes.direct)} of {len(lanes.direct.keys() | lanes.why_not.keys())} deployments"
        yield f"from now on {many} are asked without LiteLLM (docs/lanes.md); with `gateway.lanes: litellm` none is"
