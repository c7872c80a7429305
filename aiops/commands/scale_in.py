"""``aiops scale-in``"""

from __future__ import annotations

import click

from aiops.actions.change.terms import Terms
from aiops.commands._mutating import mutating, report
from aiops.context import Context

FORCE = "Also while other gateways live on the same database, or a generated file was edited."


@click.command("scale-in", help="Bring keys, limits and usage back to one box; proved, or undone.")
@mutating(force=FORCE)
@click.pass_obj
def command(context: Context, terms: Terms) -> None:
    from aiops.actions.scale.back import scale_in

    done = scale_in(context.instance, terms, context.out)
    for note in done.notes if done.outcome == "applied" else ():
        context.out.say(note)
    report(context, done)
