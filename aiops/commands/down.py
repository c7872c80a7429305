"""``aiops down``"""

from __future__ import annotations

import click

from aiops.context import Context


@click.command("down", help="Stop accepting, let requests and streams finish, stop. Nothing is left running.")
@click.option(
    "--drain",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long they may take.",
)
@click.pass_obj
def command(context: Context, drain: float) -> None:
    from aiops.actions.service.run import stop

    outcome = stop(context.instance, context.out, drain)
    context.out.answer([outcome.sentence], outcome.to_json())
