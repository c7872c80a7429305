"""``aiops restart``"""

from __future__ import annotations

import click

from aiops.actions.service.run import restart
from aiops.context import Context


@click.command("restart", help="A new gateway process; the old workers serve until it does, nobody is refused.")
@click.pass_obj
def command(context: Context) -> None:
    outcome = restart(context.instance, context.out)
    context.out.result(outcome.sentence)
    context.out.data(outcome.to_json())
