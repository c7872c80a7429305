"""``aiops show``"""

from __future__ import annotations

import click

from aiops.commands import _names as names
from aiops.context import Context


@click.command("show", help="One generation: how it came about, what it changed, what it serves.")
@click.argument("number", type=int, shell_complete=names.generations)
@click.pass_obj
def command(context: Context, number: int) -> None:
    from aiops.actions.generation.show import show

    shown = show(context.instance, number)
    context.out.answer(shown.lines(), shown.to_json())
