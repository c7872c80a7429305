"""``aiops show``: one generation in full."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from aiops.apply.store import Generation, GenerationStore
from aiops.host.instance import Instance
from aiops.spec.routes.routes import RouteTable

MOST_MODELS = 200


@dataclass(frozen=True)
class Shown:
    """How it came about, what it changed, what it serves."""

    generation: Generation
    table: RouteTable

    def lines(self) -> Iterator[str]:
        made, end = self.generation.manifest, self.generation.outcome
        facts = {
            "generation": str(made.generation),
            "made": f"{made.created} by {made.who} with `aiops {made.verb}`",
            "reason": made.reason or "–",
            "parent": str(made.parent or "–"),
            "outcome": f"{end.outcome} after {end.seconds:.2f} s" if end else "unfinished",
            "detail": end.detail if end else "",
            "files": str(self.generation.directory),
        }
        yield from (f"{name + ':':<12}{value}" for name, value in facts.items() if value)
        yield "changes:"
        yield from (f"  {line}" for line in made.changes or ("none",))
        if self.generation.unproved:
            yield "unproved:"
            yield from (f"  {each}" for each in self.generation.unproved)
        yield f"models ({len(self.table.routes)}):"
        for route in self.table.routes[:MOST_MODELS]:
            ways = f"  then {', '.join(route.fallbacks)}" if route.fallbacks else ""
            instead = f" (for {route.substitute_for})" if route.substitute_for else ""
            yield f"  {route.model} → {route.provider}/{route.backend_model}{instead}{ways}"

    def to_json(self) -> dict[str, Any]:
        end = self.generation.outcome
        return {
            **asdict(self.generation.manifest),
            "outcome": asdict(end) if end else None,
            "directory": str(self.generation.directory),
            "unproved": [each.to_json() for each in self.generation.unproved],
            **self.table.to_data(),
        }


def show(instance: Instance, number: int) -> Shown:
    """Raises Precondition when there is no instance, UsageError when there is no such generation."""
    instance.require()
    generation = GenerationStore(instance.state).get(number)
    return Shown(generation, generation.routes()[0])
