"""``aiops switch``"""

from __future__ import annotations

import click

from aiops.actions.provider import run, switch
from aiops.commands._mutating import mutating, report
from aiops.context import Context


@click.command(
    "switch", help="Two providers change places, of which only one can run at a time: OLD stops, NEW starts and serves."
)
@click.argument("old")
@click.argument("new")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=run.SERVE_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How long NEW may take to load.",
)
@click.option(
    "--drain",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="How long requests with OLD may take to finish; `gateway.drain_seconds` when not given.",
)
@mutating(force=True)
@click.pass_obj
def command(
    context: Context,
    old: str,
    new: str,
    timeout: float,
    drain: float | None,
    dry_run: bool,
    reason: str,
    force: bool,
) -> None:
    intent = switch.SwitchIntent(
        old,
        new,
        reason,
        drain=drain,
        limit=timeout,
        dry_run=dry_run,
        force=force,
        assume_yes=context.assume_yes,
    )
    report(context, switch.switch(context.instance, intent, context.out))
