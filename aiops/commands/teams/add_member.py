"""``aiops teams add-member``"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from aiops.actions.change.terms import Terms
from aiops.commands import _names as names
from aiops.commands._limits import MEMBER, options
from aiops.commands._mutating import mutating
from aiops.context import Context


@click.command("add-member", help="A user with a share of a team's budget; who is a member already gets what is said.")
@click.argument("team", shell_complete=names.teams)
@click.argument("user")
@options(MEMBER)
@mutating()
@click.pass_obj
def command(context: Context, team: str, user: str, fields: Mapping[str, Any], terms: Terms) -> None:
    from aiops.actions.member.add import add

    done = add(context.instance, team, user, fields, terms, context.out)
    context.out.answer([done.sentence], done.to_json())
