"""``aiops keys show``"""

from __future__ import annotations

import click

from aiops.commands import _names as names
from aiops.context import Context


@click.command("show", help="What a key may, what it has used of that, and who changed it.")
@click.argument("key", shell_complete=names.keys)
@click.pass_obj
def command(context: Context, key: str) -> None:
    from aiops.actions.keys.show import show

    found = show(context.instance, key)
    context.out.answer(found.lines(), found.to_json())
