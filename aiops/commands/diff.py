"""``aiops diff``"""

from __future__ import annotations

import click

from aiops.commands import _names as names
from aiops.context import Context


@click.command("diff", help="What is different between generations N and M, or in a generated file that was edited.")
@click.argument("first", type=int, required=False, metavar="[N]", shell_complete=names.generations)
@click.argument("second", type=int, required=False, metavar="[M]", shell_complete=names.generations)
@click.option("--generated", is_flag=True, help="Hand edits of the generated file instead.")
@click.pass_obj
def command(context: Context, first: int | None, second: int | None, generated: bool) -> None:
    from aiops.actions.generation import diff

    instance = context.instance
    lines = diff.generated(instance) if generated else diff.generations(instance, first, second)
    context.out.answer(lines or ["no difference"], {"lines": lines})
