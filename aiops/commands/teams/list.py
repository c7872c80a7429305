"""``aiops teams list``"""

from __future__ import annotations

import click

from aiops.context import Context


@click.command("list", help="A line for each team, the newest first.")
@click.pass_obj
def command(context: Context) -> None:
    from aiops.actions.teams.list import list

    found = list(context.instance)
    context.out.answer(found.lines(), found.to_json())
