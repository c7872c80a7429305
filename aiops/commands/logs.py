"""``aiops logs``"""

from __future__ import annotations

import click

from aiops.context import Context


@click.command("logs", help="The last lines of what the gateway said.")
@click.option("-f", "--follow", is_flag=True, help="Go on as it says more.")
@click.option("-n", "--lines", type=click.IntRange(0), default=100, show_default=True, metavar="N", help="How many.")
@click.pass_obj
def command(context: Context, follow: bool, lines: int) -> None:
    from aiops.actions.service import logs

    said = logs.logs(context.instance, lines, follow)
    if context.out.as_json:
        context.out.data({"lines": [click.unstyle(line) for line in said] if not follow else []})
        return
    coloured = context.out.coloured
    try:
        for line in said:
            context.out.result(line if coloured else click.unstyle(line))
    except KeyboardInterrupt:
        click.get_current_context().exit(130)  # it was asked to end, and nothing went wrong
