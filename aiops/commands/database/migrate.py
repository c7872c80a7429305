"""``aiops database migrate``"""

from __future__ import annotations

import click

from aiops.actions.change.terms import Terms
from aiops.commands._mutating import mutating
from aiops.context import Context


@click.command("migrate", help="Bring the tables to the schema of this aiops. An empty database needs no such thing.")
@click.option(
    "--to", type=click.IntRange(1), metavar="N", help="An older schema, before you go back to an older aiops."
)
@mutating()
@click.pass_obj
def command(context: Context, to: int | None, terms: Terms) -> None:
    from aiops.actions.database.migrate import migrate

    done = migrate(context.instance, to, terms, context.out)
    context.out.answer([done.sentence], done.to_json())
