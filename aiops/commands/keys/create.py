"""``aiops keys create``"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from aiops.actions.change.terms import Terms
from aiops.commands._limits import KEY, options
from aiops.commands._mutating import mutating
from aiops.context import Context


@click.command("create", help="Make a key. It is shown once, alone on stdout: KEY=$(aiops keys create --alias ci).")
@options(KEY)
@mutating()
@click.pass_obj
def command(context: Context, fields: Mapping[str, Any], terms: Terms) -> None:
    from aiops.actions.keys.create import create, how_to_try

    created = create(context.instance, fields, terms, context.out)
    context.out.answer([created.key] if created.key else [], created.to_json())
    if created.key:
        for line in how_to_try(context.instance, created.made):
            context.out.say(line)
