"""``aiops up``"""

from __future__ import annotations

import click

from aiops.context import Context


@click.command("up", help="Start the gateway and wait until it serves. Already up: says so.")
@click.pass_obj
def command(context: Context) -> None:
    from aiops.actions.service.run import start

    outcome = start(context.instance, context.out)
    context.out.answer([outcome.sentence], outcome.to_json())
