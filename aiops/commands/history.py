"""``aiops history``"""

from __future__ import annotations

import click

from aiops.context import Context


@click.command("history", help="Generations, newest first: who, what, why, how it ended.")
@click.option("-n", "--lines", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="How many.")
@click.pass_obj
def command(context: Context, lines: int) -> None:
    from aiops.actions.generation.history import history

    found = history(context.instance, lines)
    context.out.answer(found.lines(), found.to_json())
