"""``aiops list [providers|models|generations]``"""

from __future__ import annotations

import click

from aiops.context import Context


@click.command("list", help="Providers, models and generations, a line each; or one kind of them.")
@click.argument("kind", type=click.Choice(["providers", "models", "generations"]), required=False)
@click.pass_obj
def command(context: Context, kind: str | None) -> None:
    from aiops.actions.service.list import list

    found = list(context.instance, kind)
    for note in found.notes:
        context.out.say(f"note: {note}")
    context.out.answer(found.lines(), found.to_json())
