"""``aiops teams delete``"""

from __future__ import annotations

import click

from aiops.actions.change.terms import Terms
from aiops.commands import _names as names
from aiops.commands._mutating import mutating
from aiops.context import Context


@click.command("delete", help="Take a team away; its keys are revoked with it.")
@click.argument("team", shell_complete=names.teams)
@mutating(force="Also while it has keys.")
@click.pass_obj
def command(context: Context, team: str, terms: Terms) -> None:
    from aiops.actions.teams.delete import delete

    done = delete(context.instance, team, terms, context.out)
    context.out.answer([done.sentence], done.to_json())
