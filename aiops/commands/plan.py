"""``aiops plan``"""

from __future__ import annotations

import click

from aiops.context import Context

CHANGES = 10


@click.command("plan", help="What `aiops apply` would do. Changes nothing.")
@click.option("--exit-code", is_flag=True, help=f"Exit {CHANGES} when there are changes.")
@click.pass_obj
def command(context: Context, exit_code: bool) -> int:
    from aiops.actions.files.plan import plan

    planned = plan(context.instance)
    context.out.answer(planned.lines(), planned.to_json(), signed=True)
    return CHANGES if exit_code and planned.changes else 0
