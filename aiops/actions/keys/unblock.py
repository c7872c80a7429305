"""``aiops keys unblock``: let in again."""

from __future__ import annotations

from aiops.actions.change.terms import Terms
from aiops.actions.keys.block import block
from aiops.actions.keys.done import Done
from aiops.host.instance import Instance
from aiops.output import Output


def unblock(instance: Instance, said: str, terms: Terms, out: Output) -> Done:
    """Raises Unknown, Precondition for one that was revoked."""
    return block(instance, said, terms, out, blocked=False)
