"""``aiops enable``"""

from __future__ import annotations

import click

from aiops.actions.change.prepare import Intent
from aiops.commands._mutating import mutating, run
from aiops.context import Context
from aiops.spec.edit import edit


@click.command("enable", help="Bring a disabled provider back, after it was proved to answer.")
@click.argument("name")
@mutating(force=True)
@click.pass_obj
def command(context: Context, name: str, dry_run: bool, reason: str, force: bool) -> None:
    intent = Intent(
        "enable",
        reason,
        lambda sources: edit.set_status(sources, name, "active"),
        dry_run=dry_run,
        force=force,
        assume_yes=context.assume_yes,
    )
    run(context, intent)
