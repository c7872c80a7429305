"""``aiops database check``"""

from __future__ import annotations

import click

from aiops.context import Context


@click.command("check", help="Whether the database is there, whole, and of this aiops' schema. Changes nothing.")
@click.pass_obj
def command(context: Context) -> None:
    from aiops.actions.database.check import check

    found = check(context.instance)
    context.out.answer(found.lines(), found.to_json())
