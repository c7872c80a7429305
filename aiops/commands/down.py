"""``aiops down``"""

from __future__ import annotations

import click

from aiops.commands._patience import drain_limit
from aiops.context import Context


@click.command("down", help="Stop accepting, let requests and streams finish, stop. Nothing is left running.")
@drain_limit(help="How long they may take.", default=30.0)
@click.pass_obj
def command(context: Context, drain: float) -> None:
    from aiops.actions.service.run import stop

    outcome = stop(context.instance, context.out, drain)
    context.out.answer([outcome.sentence], outcome.to_json())
