"""``aiops keys unblock``"""

from __future__ import annotations

import click

from aiops.actions.change.terms import Terms
from aiops.commands import _heeded
from aiops.commands import _names as names
from aiops.commands._mutating import mutating
from aiops.context import Context


@click.command("unblock", help="Let a blocked key in again.")
@click.argument("key", shell_complete=names.keys)
@mutating()
@click.pass_obj
def command(context: Context, key: str, terms: Terms) -> None:
    from aiops.actions.keys.unblock import unblock

    done = unblock(context.instance, key, terms, context.out)
    _heeded.answer(context, done)
