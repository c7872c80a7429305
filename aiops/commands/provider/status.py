"""``aiops provider status``"""

from __future__ import annotations

import click

from aiops.commands import _names as names
from aiops.context import Context


@click.command("status", help="Units, health and models of one provider, or of all.")
@click.argument("name", required=False, shell_complete=names.providers)
@click.pass_obj
def command(context: Context, name: str | None) -> None:
    from aiops.actions.provider.run import status

    states = status(context.instance, name)
    lines = [str(state) for state in states] or ["there are no providers"]
    context.out.answer(lines, {"providers": [state.to_json() for state in states]})
