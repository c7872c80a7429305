"""``aiops keys explain``"""

from __future__ import annotations

import click

from aiops.commands import _names as names
from aiops.context import Context


@click.command("explain", help="Whether a key's next request would pass: by which rule, and what is left where.")
@click.argument("key", shell_complete=names.keys)
@click.argument("model", required=False, shell_complete=names.models)
@click.pass_obj
def command(context: Context, key: str, model: str | None) -> None:
    from aiops.actions.keys.explain import explain

    found = explain(context.instance, key, model)
    context.out.answer(found.lines(), found.to_json())
