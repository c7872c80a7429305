"""``aiops rollback``"""

from __future__ import annotations

import click

from aiops.actions.change.terms import Terms
from aiops.commands import _names as names
from aiops.commands._mutating import LOST_OR_EDITED, mutating, report
from aiops.context import Context
from aiops.errors import UsageError


@click.command("rollback", help="Go back to generation N (without N: the one before): sources and release together.")
@click.argument("number", type=int, required=False, metavar="[N]", shell_complete=names.generations)
@mutating(force=LOST_OR_EDITED)
@click.pass_obj
def command(context: Context, number: int | None, terms: Terms) -> None:
    if not terms.reason.strip() and not terms.dry_run:
        raise UsageError(
            "a rollback needs a reason", '--reason "what you saw" goes into the history and the incident record'
        )
    from aiops.actions.generation.rollback import rollback

    report(context, rollback(context.instance, number, terms, context.out))
