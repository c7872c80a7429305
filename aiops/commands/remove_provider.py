"""``aiops remove-provider``"""

from __future__ import annotations

import click

from aiops.actions.change.terms import Terms
from aiops.commands import _names as names
from aiops.commands._mutating import LOST_OR_EDITED, mutating, report
from aiops.context import Context


@click.command("remove-provider", help="Remove a provider, its routes, and what refers to them.")
@click.argument("name", shell_complete=names.providers)
@mutating(force=LOST_OR_EDITED)
@click.pass_obj
def command(context: Context, name: str, terms: Terms) -> None:
    from aiops.actions.provider.remove import remove

    report(context, remove(context.instance, name, terms, context.out))
