"""``aiops switch``"""

from __future__ import annotations

import click

from aiops.actions.change.terms import Terms
from aiops.commands import _names as names
from aiops.commands._mutating import LOST_OR_EDITED, mutating, report
from aiops.commands._patience import drain_limit, serve_limit
from aiops.context import Context


@click.command(
    "switch", help="Two providers change places, of which only one can run at a time: OLD stops, NEW starts and serves."
)
@click.argument("old", shell_complete=names.providers)
@click.argument("new", shell_complete=names.providers)
@serve_limit(help="How long NEW may take to load.")
@drain_limit(
    help="How long requests with OLD may take to finish; `gateway.drain_seconds` when not given.", default=None
)
@mutating(force=LOST_OR_EDITED)
@click.pass_obj
def command(
    context: Context,
    old: str,
    new: str,
    timeout: float,
    drain: float | None,
    terms: Terms,
) -> None:
    from aiops.actions.provider.switch import SwitchIntent, switch

    intent = SwitchIntent(
        old,
        new,
        terms.reason,
        drain=drain,
        limit=timeout,
        dry_run=terms.dry_run,
        force=terms.force,
        assume_yes=terms.assume_yes,
    )
    report(context, switch(context.instance, intent, context.out))
