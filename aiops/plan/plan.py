"""A plan: exactly what will be done, with a digest that stands for it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from aiops.plan.diff import Diff, diff
from aiops.render.release import digest
from aiops.spec.routes.routes import RouteTable, Unrouted
from aiops.spec.routes.summary import Summary, summarise
from aiops.spec.shapes.model import DesiredState


@dataclass(frozen=True)
class Plan:
    """What changes from ``base_generation`` (None: there is none yet) to the release with this digest.

    ``unrouted``: models that lose every route. ``billable_probes``: changed models whose proof costs money.
    """

    base_generation: int | None
    fingerprint: str
    release_digest: str
    diff: Diff
    unrouted: tuple[Unrouted, ...] = ()
    billable_probes: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over the base generation, the sources and the release: ``apply --plan`` refuses any other."""
        text = f"{self.base_generation}\0{self.fingerprint}\0{self.release_digest}"
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def newly_unrouted(self) -> tuple[Unrouted, ...]:
        """The models that this very change leaves without a route."""
        named = {change.name for change in self.diff.changes if change.kind == "model" and change.sign == "-"}
        return tuple(item for item in self.unrouted if item.model in named)

    def lines(self) -> list[str]:
        """For people: the changes, then what deserves attention."""
        attention = [f"! {item.model} is not served: {item.reason}" for item in self.unrouted]
        attention += [f"! proving {model} calls a billable provider" for model in self.billable_probes]
        return [*self.diff.lines(), *attention]

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "digest": self.digest,
            "base_generation": self.base_generation,
            "fingerprint": self.fingerprint,
            "release_digest": self.release_digest,
            **self.diff.to_json(),
            "unrouted": [asdict(item) for item in self.unrouted],
            "billable_probes": list(self.billable_probes),
        }


def make_plan(
    base_generation: int | None,
    old: tuple[RouteTable, Summary] | None,
    state: DesiredState,
    table: RouteTable,
    release: Mapping[str, bytes],
) -> Plan:
    """Given the routes of the base generation (``render.routes.read_routes``) and the new release, make the plan."""
    was, summary = old if old is not None else (None, None)
    changes = diff(was, table, summary, summarise(state))
    changed = set(changes.changed_models)
    billable = tuple(route.model for route in table.routes if route.billable and route.model in changed)
    return Plan(base_generation, state.fingerprint, digest(release), changes, table.unrouted, billable)
