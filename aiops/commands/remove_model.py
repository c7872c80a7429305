"""``aiops remove-model``"""

from __future__ import annotations

import click

from aiops.actions.change.terms import Terms
from aiops.commands import _names as names
from aiops.commands._mutating import LOST_OR_EDITED, mutating, report
from aiops.context import Context


@click.command("remove-model", help="Remove one model of a provider, and what refers to it.")
@click.argument("provider", shell_complete=names.providers)
@click.argument("model", shell_complete=names.models_of_it)
@mutating(force=LOST_OR_EDITED)
@click.pass_obj
def command(context: Context, provider: str, model: str, terms: Terms) -> None:
    from aiops.actions.model.remove import remove

    report(context, remove(context.instance, provider, model, terms, context.out))
