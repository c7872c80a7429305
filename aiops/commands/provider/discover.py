"""``aiops provider discover``"""

from __future__ import annotations

import click

from aiops.actions.change.terms import Terms
from aiops.commands import _names as names
from aiops.commands._mutating import mutating, report
from aiops.context import Context


@click.command("discover", help="Write what a provider says of its models, where nothing is written yet.")
@click.argument("name", shell_complete=names.providers)
@mutating()
@click.pass_obj
def command(context: Context, name: str, terms: Terms) -> None:
    from aiops.actions.provider.discover import discover

    report(context, discover(context.instance, name, terms, context.out))
