"""``aiops remove-provider``"""

from __future__ import annotations

import click

from aiops.actions.change.prepare import Intent
from aiops.commands._mutating import mutating, run
from aiops.context import Context
from aiops.spec.edit import edit


@click.command("remove-provider", help="Remove a provider, its routes, and what refers to them.")
@click.argument("name")
@mutating(force=True)
@click.pass_obj
def command(context: Context, name: str, dry_run: bool, reason: str, force: bool) -> None:
    intent = Intent(
        "remove-provider",
        reason,
        lambda sources: edit.remove_provider(sources, name),
        dry_run=dry_run,
        force=force,
        assume_yes=context.assume_yes,
    )
    run(context, intent)
