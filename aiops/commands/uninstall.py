"""``aiops uninstall``"""

from __future__ import annotations

import click

from aiops.commands._patience import drain_limit
from aiops.context import Context


@click.command(
    "uninstall",
    help="Take away what aiops made: the gateway that runs (drained first), units, containers, generations, state, "
    "logs. Configuration and secrets stay.",
)
@drain_limit(help="How long requests and streams may take to finish.", default=30.0)
@click.option("--purge", is_flag=True, help="Configuration and secrets, too.")
@click.option("--dry-run", is_flag=True, help="Print what would go and stop.")
@click.pass_obj
def command(context: Context, drain: float, purge: bool, dry_run: bool) -> None:
    from aiops.actions.removal.uninstall import uninstall

    done = uninstall(
        context.instance, context.out, drain=drain, purge=purge, dry_run=dry_run, assume_yes=context.assume_yes
    )
    context.out.answer(done.lines(), done.to_json())
