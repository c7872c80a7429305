"""``aiops keys revoke``"""

from __future__ import annotations

import click

from aiops.actions.change.terms import Terms
from aiops.commands import _heeded
from aiops.commands import _names as names
from aiops.commands._mutating import mutating
from aiops.context import Context


@click.command("revoke", help="Refuse a key for good, and wait until every worker of every gateway does.")
@click.argument("key", shell_complete=names.keys)
@mutating()
@click.pass_obj
def command(context: Context, key: str, terms: Terms) -> None:
    from aiops.actions.keys.revoke import revoke

    done = revoke(context.instance, key, terms, context.out)
    _heeded.answer(context, done)
