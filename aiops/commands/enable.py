"""``aiops enable``"""

from __future__ import annotations

import click

from aiops.actions.change.terms import Terms
from aiops.commands import _names as names
from aiops.commands._mutating import LOST_OR_EDITED, mutating, report
from aiops.context import Context


@click.command("enable", help="Bring a disabled provider back, after it was proved to answer.")
@click.argument("name", shell_complete=names.providers)
@mutating(force=LOST_OR_EDITED)
@click.pass_obj
def command(context: Context, name: str, terms: Terms) -> None:
    from aiops.actions.provider.enable import enable

    report(context, enable(context.instance, name, terms, context.out))
