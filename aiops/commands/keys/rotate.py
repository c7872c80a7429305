"""``aiops keys rotate``"""

from __future__ import annotations

import click

from aiops.actions.change.terms import Terms
from aiops.commands import _names as names
from aiops.commands._mutating import mutating
from aiops.context import Context


@click.command("rotate", help="Another key in its place, shown once; limits, budget and what was spent stay.")
@click.argument("key", shell_complete=names.keys)
@click.option("--grace-period", metavar="24h", help="How long the old one stays valid; without it, not at all.")
@mutating()
@click.pass_obj
def command(context: Context, key: str, grace_period: str | None, terms: Terms) -> None:
    from aiops.actions.keys.rotate import rotate

    created = rotate(context.instance, key, grace_period, terms, context.out)
    context.out.answer([created.key] if created.key else [], created.to_json())
