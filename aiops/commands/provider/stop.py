"""``aiops provider stop``"""

from __future__ import annotations

import click

from aiops.actions.change.terms import Terms
from aiops.actions.provider.patience import DRAIN_SECONDS
from aiops.commands import _names as names
from aiops.commands._mutating import mutating
from aiops.commands._patience import drain_limit
from aiops.context import Context


@click.command("stop", help="Stop the unit of a provider. Refused while it answers users.")
@click.argument("name", shell_complete=names.providers)
@drain_limit(help="How long requests of an earlier generation may take to finish.", default=DRAIN_SECONDS)
@mutating(force="Also while it answers users.")
@click.pass_obj
def command(context: Context, name: str, drain: float, terms: Terms) -> None:
    from aiops.actions.provider.run import stop

    outcome = stop(
        context.instance,
        name,
        drain=drain,
        force=terms.force,
        dry_run=terms.dry_run,
        assume_yes=terms.assume_yes,
        reason=terms.reason,
        out=context.out,
    )
    context.out.answer([outcome.sentence], outcome.to_json())
