"""``aiops teams update``"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from aiops.actions.change.terms import Terms
from aiops.commands import _names as names
from aiops.commands._limits import TEAM, TEAM_ALIAS, options
from aiops.commands._mutating import mutating
from aiops.context import Context


@click.command("update", help="Change a team: what is said changes, the rest stays; `none` takes a limit away.")
@click.argument("team", shell_complete=names.teams)
@options(TEAM_ALIAS, TEAM)
@mutating()
@click.pass_obj
def command(context: Context, team: str, fields: Mapping[str, Any], terms: Terms) -> None:
    from aiops.actions.teams.update import update

    done = update(context.instance, team, fields, terms, context.out)
    context.out.answer([done.sentence], done.to_json())
