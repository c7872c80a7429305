"""``aiops remove-model``"""

from __future__ import annotations

import click

from aiops.actions.change.prepare import Intent
from aiops.commands._mutating import mutating, run
from aiops.context import Context
from aiops.spec.edit import edit


@click.command("remove-model", help="Remove one model of a provider, and what refers to it.")
@click.argument("provider")
@click.argument("model")
@mutating(force=True)
@click.pass_obj
def command(context: Context, provider: str, model: str, dry_run: bool, reason: str, force: bool) -> None:
    intent = Intent(
        "remove-model",
        reason,
        lambda sources: edit.remove_model(sources, provider, model),
        dry_run=dry_run,
        force=force,
        assume_yes=context.assume_yes,
    )
    run(context, intent)
