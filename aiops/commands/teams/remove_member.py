"""``aiops teams remove-member``"""

from __future__ import annotations

import click

from aiops.actions.change.terms import Terms
from aiops.commands import _names as names
from aiops.commands._mutating import mutating
from aiops.context import Context


@click.command("remove-member", help="A user who is no member of a team any more; keys stay as they are.")
@click.argument("team", shell_complete=names.teams)
@click.argument("user")
@mutating()
@click.pass_obj
def command(context: Context, team: str, user: str, terms: Terms) -> None:
    from aiops.actions.member.remove import remove

    done = remove(context.instance, team, user, terms, context.out)
    context.out.answer([done.sentence], done.to_json())
