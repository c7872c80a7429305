"""``aiops disable``"""

from __future__ import annotations

import click

from aiops.actions.change.prepare import Intent
from aiops.commands._mutating import mutating, run
from aiops.context import Context
from aiops.spec.edit import edit


@click.command(
    "disable", help="Take a provider out for maintenance. Its models answer through their fallbacks, which is proved."
)
@click.argument("name")
@mutating(force=True)
@click.pass_obj
def command(context: Context, name: str, dry_run: bool, reason: str, force: bool) -> None:
    intent = Intent(
        "disable",
        reason,
        lambda sources: edit.set_status(sources, name, "disabled"),
        dry_run=dry_run,
        force=force,
        assume_yes=context.assume_yes,
    )
    run(context, intent)
