"""``aiops teams show``"""

from __future__ import annotations

import click

from aiops.commands import _names as names
from aiops.context import Context


@click.command("show", help="What a team may and what it has used of that; its members and keys.")
@click.argument("team", shell_complete=names.teams)
@click.pass_obj
def command(context: Context, team: str) -> None:
    from aiops.actions.teams.show import show

    found = show(context.instance, team)
    context.out.answer(found.lines(), found.to_json())
