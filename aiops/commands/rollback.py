"""``aiops rollback``"""

from __future__ import annotations

import click

from aiops.actions.change.prepare import Intent
from aiops.apply.store import GenerationStore
from aiops.commands._mutating import mutating, run
from aiops.context import Context
from aiops.errors import Precondition, UsageError


@click.command("rollback", help="Go back to generation N (without N: the one before): sources and release together.")
@click.argument("number", type=int, required=False, metavar="[N]")
@mutating(force=True)
@click.pass_obj
def command(context: Context, number: int | None, dry_run: bool, reason: str, force: bool) -> None:
    if not reason.strip():
        raise UsageError(
            "a rollback needs a reason", '--reason "what you saw" goes into the history and the incident record'
        )
    intent = Intent(
        "rollback",
        reason,
        restore=lambda generations: _target(generations, number),
        dry_run=dry_run,
        force=force,
        assume_yes=context.assume_yes,
    )
    run(context, intent)


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
