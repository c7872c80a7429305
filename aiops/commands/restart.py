"""``aiops restart``"""

from __future__ import annotations

import click

from aiops.context import Context


@click.command("restart", help="A new gateway process; the old workers serve until it does, nobody is refused.")
@click.pass_obj
def command(context: Context) -> None:
    from aiops.actions.service.run import restart

    outcome = restart(context.instance, context.out)
    context.out.answer([outcome.sentence], outcome.to_json())
