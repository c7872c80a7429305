"""``aiops keys revoke``"""

from __future__ import annotations

import click

from aiops.actions.change.terms import Terms
from aiops.commands import _names as names
from aiops.commands._mutating import mutating
from aiops.context import Context
from aiops.errors import VerificationFailed


@click.command("revoke", help="Refuse a key for good, and wait until every worker of every gateway does.")
@click.argument("key", shell_complete=names.keys)
@mutating()
@click.pass_obj
def command(context: Context, key: str, terms: Terms) -> None:
    from aiops.actions.keys.revoke import revoke

    done = revoke(context.instance, key, terms, context.out)
    if not done.everywhere:
        for line in done.lines():
            context.out.result(line, signed=True)
        raise VerificationFailed(
            "the key is revoked, and not every gateway has said that it refuses it",
            "`aiops status` on those hosts says what is wrong there",
            data=done.to_json(),
        )
    context.out.answer(done.lines(), done.to_json(), signed=True)
