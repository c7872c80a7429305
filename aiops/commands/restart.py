"""``aiops restart``"""

from __future__ import annotations

import click

from aiops.cli import Context
from aiops.service import restart


@click.command("restart", help="A new gateway process; the old workers serve until it does, nobody is refused.")
@click.pass_obj
def command(context: Context) -> None:
    outcome = restart(context.instance, context.out)
    context.out.result(outcome.sentence)
    context.out.data(outcome.to_json())
