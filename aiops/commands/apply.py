"""``aiops apply``"""

from __future__ import annotations

import click

from aiops.actions.change.terms import Terms
from aiops.commands._mutating import LOST_OR_EDITED, mutating, report
from aiops.context import Context


@click.command("apply", help="Make hand-edited files live: proven first, undone when it fails.")
@click.option("--plan", "digest", metavar="DIGEST", help="Only if the plan is still the one with this digest.")
@mutating(force=LOST_OR_EDITED)
@click.pass_obj
def command(context: Context, digest: str | None, terms: Terms) -> None:
    from aiops.actions.files.apply import apply

    report(context, apply(context.instance, digest, terms, context.out))
