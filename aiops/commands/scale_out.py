"""``aiops scale-out``"""

from __future__ import annotations

from pathlib import Path

import click

from aiops.actions.change.terms import Terms
from aiops.commands._mutating import mutating, report
from aiops.context import Context

HELP = "Bring keys, limits and usage to a Postgres and a Redis that several gateways share; proved, or undone."


@click.command("scale-out", help=HELP)
@click.option(
    "--database-url-file", required=True, type=click.Path(path_type=Path), metavar="FILE",
    help="Holds postgresql://USER:PASSWORD@HOST:PORT/NAME; mode 0600.",
)  # fmt: skip
@click.option(
    "--redis-url-file", required=True, type=click.Path(path_type=Path), metavar="FILE",
    help="Holds redis://:PASSWORD@HOST:PORT/0; mode 0600.",
)  # fmt: skip
@mutating()
@click.pass_obj
def command(context: Context, database_url_file: Path, redis_url_file: Path, terms: Terms) -> None:
    from aiops.actions.scale.out import scale_out

    done = scale_out(context.instance, database_url_file, redis_url_file, terms, context.out)
    for note in done.notes if done.outcome == "applied" else ():
        context.out.say(note)
    report(context, done)
