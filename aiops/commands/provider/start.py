"""``aiops provider start``"""

from __future__ import annotations

import click

from aiops.actions.change.terms import Terms
from aiops.commands import _names as names
from aiops.commands._mutating import mutating
from aiops.commands._patience import serve_limit
from aiops.context import Context


@click.command("start", help="Start the unit of a provider and wait until it serves its models.")
@click.argument("name", shell_complete=names.providers)
@serve_limit(help="How long it may take to load.")
@mutating()
@click.pass_obj
def command(context: Context, name: str, timeout: float, terms: Terms) -> None:
    from aiops.actions.provider.run import start

    outcome = start(
        context.instance,
        name,
        limit=timeout,
        dry_run=terms.dry_run,
        assume_yes=terms.assume_yes,
        reason=terms.reason,
        out=context.out,
    )
    context.out.answer([outcome.sentence], outcome.to_json())
