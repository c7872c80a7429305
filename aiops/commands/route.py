"""``aiops route STRATEGY`` and ``aiops route explain MODEL``"""

from __future__ import annotations

from collections.abc import Sequence

import click

from aiops.actions.change.prepare import Intent
from aiops.commands._mutating import mutating, report
from aiops.context import Context
from aiops.spec.choosing.rules import Strategy

GO_BACK_REASON = "the other strategy was better"


class Route(click.Group):
    """What is no subcommand is the name of a strategy: ``aiops route least_loaded``."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            args = ["strategy", *args]
        return super().resolve_command(ctx, args)


@click.group(
    "route",
    cls=Route,
    subcommand_metavar="STRATEGY | explain MODEL",
    help="Change how groups choose between deployments; explain where a request goes.",
)
def command() -> None:
    pass


@command.command(
    "strategy",
    help="Choose another way, measured before and after. The word `strategy` may be left out.",
    epilog=f"Strategies: {', '.join(Strategy)}.",
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
@mutating(force=True)
@click.pass_obj
def strategy(
    context: Context, strategy: str, group: str | None, requests: int, dry_run: bool, reason: str, force: bool
) -> None:
    from aiops.actions.route import strategy as strategy_change

    wanted = strategy_change.StrategyIntent(strategy_change.wanted(strategy), group, requests)
    intent = Intent("route", reason, dry_run=dry_run, force=force, assume_yes=context.assume_yes)
    instance, out = context.instance, context.out
    changed = strategy_change.change(instance, wanted, intent, out)
    report(context, changed.result, changed.to_json())
    for comparison in changed.comparisons:
        for line in comparison.lines():
            out.result(line)
    for note in changed.notes:
        out.say(note)
    if changed.result.outcome != "applied":
        return
    if out.interactive and not context.assume_yes and changed.comparisons:
        if out.ask(f"Go back to generation {changed.result.previous}?"):
            report(context, strategy_change.go_back(instance, changed, GO_BACK_REASON, out))
    else:
        out.say(f'to go back: {instance.command} rollback {changed.result.previous} --reason "{GO_BACK_REASON}"')


@command.command("explain", help="Which rule answers a name, who is asked in which order, and why.")
@click.argument("model")
@click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="The request has this header.")
@click.option("--tokens", type=click.IntRange(0), default=0, metavar="N", help="The prompt has about N tokens.")
@click.option("--stream", is_flag=True, help="The answer is streamed.")
@click.option("--batch", type=click.IntRange(1), default=1, metavar="N", help="The request carries N inputs.")
@click.pass_obj
def explain(context: Context, model: str, headers: Sequence[str], tokens: int, stream: bool, batch: int) -> None:
    from aiops.actions.route import explain as explanation

    request = explanation.request(model, headers, tokens, stream, batch)
    found = explanation.explain(context.instance, request)
    for line in found.lines():
        context.out.result(line)
    context.out.data(found.to_json())
