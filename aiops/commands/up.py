"""``aiops up``"""

from __future__ import annotations

import click

from aiops.context import Context
from aiops.errors import UsageError


@click.command("up", help="Start the gateway and wait until it serves. Already up: says so.")
@click.option("--strict", is_flag=True, help="The first time: refuse unless every model has answered.")
@click.option("--force", is_flag=True, help="The first time: serve also what was refused, and say so.")
@click.pass_obj
def command(context: Context, strict: bool, force: bool) -> None:
    if strict and force:
        raise UsageError("--strict and --force exclude each other", "keep one of them")
    from aiops.actions.service.run import start

    outcome = start(context.instance, context.out, "nothing" if strict else "all" if force else "absent")
    context.out.answer(outcome.lines(context.instance.command), outcome.to_json())
