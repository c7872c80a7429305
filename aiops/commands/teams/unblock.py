"""``aiops teams unblock``"""

from __future__ import annotations

import click

from aiops.actions.change.terms import Terms
from aiops.commands import _heeded
from aiops.commands import _names as names
from aiops.commands._mutating import mutating
from aiops.context import Context


@click.command("unblock", help="Let the keys of a blocked team in again.")
@click.argument("team", shell_complete=names.teams)
@mutating()
@click.pass_obj
def command(context: Context, team: str, terms: Terms) -> None:
    from aiops.actions.teams.unblock import unblock

    done = unblock(context.instance, team, terms, context.out)
    _heeded.answer(context, done)
