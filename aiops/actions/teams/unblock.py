"""``aiops teams unblock``: its keys are let in again."""

from __future__ import annotations

from aiops.actions.change.terms import Terms
from aiops.actions.teams.block import block
from aiops.actions.teams.done import Done
from aiops.host.instance import Instance
from aiops.output import Output


def unblock(instance: Instance, said: str, terms: Terms, out: Output) -> Done:
    """Raises Unknown."""
    return block(instance, said, terms, out, blocked=False)
