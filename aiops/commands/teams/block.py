"""``aiops teams block``"""

from __future__ import annotations

import click

from aiops.actions.change.terms import Terms
from aiops.commands import _heeded
from aiops.commands import _names as names
from aiops.commands._mutating import mutating
from aiops.context import Context


@click.command("block", help="Refuse all keys of a team until it is unblocked.")
@click.argument("team", shell_complete=names.teams)
@mutating()
@click.pass_obj
def command(context: Context, team: str, terms: Terms) -> None:
    from aiops.actions.teams.block import block

    done = block(context.instance, team, terms, context.out)
    _heeded.answer(context, done)
