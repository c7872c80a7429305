"""``aiops route STRATEGY``"""

from __future__ import annotations

import click

from aiops.actions.change.terms import Terms
from aiops.actions.route.strategies import STRATEGIES
from aiops.commands._mutating import LOST_OR_EDITED, mutating, report
from aiops.context import Context

GO_BACK_REASON = "the other strategy was better"


@click.command(
    "strategy",
    help="Choose another way, measured before and after. The word `strategy` may be left out.",
    epilog=f"Strategies: {', '.join(STRATEGIES)}.",
)
@click.argument("strategy")
@click.option("--for", "group", metavar="NAME", help="Only this load-balancing group or capability.")
@click.option(
    "--requests",
    type=click.IntRange(0, 1000),
    default=20,
    show_default=True,
    metavar="N",
    help="Measured for each group, before and after; 0: do not measure.",
)
@mutating(force=LOST_OR_EDITED)
@click.pass_obj
def command(context: Context, strategy: str, group: str | None, requests: int, terms: Terms) -> None:
    from aiops.actions.change.prepare import Intent
    from aiops.actions.route.strategy import StrategyIntent, change, go_back, wanted

    instance, out = context.instance, context.out
    changed = change(instance, StrategyIntent(wanted(strategy), group, requests), Intent.of("route", terms), out)
    report(context, changed.result, changed.to_json())
    for comparison in changed.comparisons:
        for line in comparison.lines():
            out.result(line)
    for note in changed.notes:
        out.say(note)
    if changed.result.outcome != "applied":
        return
    if out.interactive and not terms.assume_yes and changed.comparisons:
        if out.ask(f"Go back to generation {changed.result.previous}?"):
            report(context, go_back(instance, changed, GO_BACK_REASON, out))
    else:
        out.say(f'to go back: {instance.command} rollback {changed.result.previous} --reason "{GO_BACK_REASON}"')
