"""``aiops teams create``"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from aiops.actions.change.terms import Terms
from aiops.commands._limits import TEAM, options
from aiops.commands._mutating import mutating
from aiops.context import Context


@click.command("create", help="Make a team; `aiops keys create --team ALIAS` makes its keys.")
@click.argument("alias")
@options(TEAM)
@mutating()
@click.pass_obj
def command(context: Context, alias: str, fields: Mapping[str, Any], terms: Terms) -> None:
    from aiops.actions.teams.create import create

    done = create(context.instance, alias, fields, terms, context.out)
    context.out.answer([done.sentence], done.to_json())
