"""``aiops rollback``: an older generation serves again, sources and release together."""

from __future__ import annotations

from aiops.actions.change.make import make
from aiops.actions.change.prepare import Intent
from aiops.actions.change.result import Result
from aiops.actions.change.terms import Terms
from aiops.apply.store import GenerationStore
from aiops.errors import Precondition, UsageError
from aiops.host.instance import Instance
from aiops.output import Output


def rollback(instance: Instance, number: int | None, terms: Terms, out: Output) -> Result:
    """To generation ``number``, or to the one before. Raises UsageError, Precondition, and what ``make`` raises."""
    # Chosen under the lock: the generation before is another one once somebody else has made a change.
    return make(instance, Intent.of("rollback", terms, restore=lambda made: _target(made, number)), out)


def _target(generations: GenerationStore, number: int | None) -> int:
    current = generations.current()
    if number is None:
        number = generations.before_current()
        if number is None:
            raise Precondition("there is no earlier generation to go back to", "`aiops history` lists what there is")
    generation = generations.get(number)
    if number == current:
        raise UsageError(f"generation {number} is the one that serves", "`aiops history` lists the others")
    if not generation.applied:
        how = generation.outcome.outcome if generation.outcome else "never finished"
        raise UsageError(f"generation {number} never served ({how})", "`aiops history` lists those that did")
    return number
