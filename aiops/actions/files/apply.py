"""``aiops apply``: files that were edited by hand go live."""

from __future__ import annotations

from aiops.actions.change.make import make
from aiops.actions.change.prepare import Intent
from aiops.actions.change.result import Result
from aiops.actions.change.terms import Terms
from aiops.errors import UsageError
from aiops.host.instance import Instance
from aiops.output import Output

SHORTEST_DIGEST = 8


def apply(instance: Instance, digest: str | None, terms: Terms, out: Output) -> Result:
    """Only the plan that begins with ``digest``, when there is one. Raises UsageError, and what ``make`` raises."""
    if digest is not None and len(digest) < SHORTEST_DIGEST:
        raise UsageError(
            f"`--plan {digest}` is too short to stand for a plan", f"give at least {SHORTEST_DIGEST} characters"
        )
    return make(instance, Intent.of("apply", terms, expect=digest), out)
