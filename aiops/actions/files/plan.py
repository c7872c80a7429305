"""``aiops plan``: what ``apply`` would do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiops.actions.change.prepare import Intent, prepare
from aiops.actions.instance.drift import generated_is_edited
from aiops.actions.instance.snapshot import Snapshot
from aiops.host.instance import Instance
from aiops.plan.plan import Plan


@dataclass(frozen=True)
class Planned:
    """``changes``: whether the gateway would serve anything else than now. ``notes``: what else is to be known."""

    plan: Plan
    changes: bool
    notes: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        yield from (f"! {note}" for note in self.notes)
        if not self.changes:
            yield "no changes"
            return
        yield from self.plan.lines()
        yield f"\nplan {self.plan.digest}\nto do exactly this: aiops apply --plan {self.plan.digest[:12]}"

    def to_json(self) -> dict[str, Any]:
        return {"outcome": "planned", **self.plan.to_json(), "notes": list(self.notes)}


def plan(instance: Instance) -> Planned:
    """Raises Precondition when there is no instance, InvalidState with every problem."""
    prepared = prepare(Snapshot.of(instance), Intent("plan"))
    edited = f"{instance.generated} was edited by hand, and `apply` does not overwrite it without --force"
    notes = (edited,) if generated_is_edited(prepared.now) else ()
    return Planned(prepared.plan, not prepared.is_same, (*notes, *prepared.notes))
