"""``aiops history``"""

from __future__ import annotations

from dataclasses import asdict

import click

from aiops.apply.store import GenerationStore
from aiops.context import Context


@click.command("history", help="Generations, newest first: who, what, why, how it ended.")
@click.option("-n", "--lines", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="How many.")
@click.pass_obj
def command(context: Context, lines: int) -> None:
    instance = context.instance
    instance.require()
    generations = GenerationStore(instance.state)
    current = generations.current()
    newest = list(reversed(generations.all()))[:lines]
    for generation in newest:
        made, end = generation.manifest, generation.outcome
        mark = "*" if generation.number == current else " "
        verb = made.verb + (f" to {made.restores}" if made.restores is not None else "")
        why = f"  “{made.reason}”" if made.reason else ""
        outcome = end.outcome if end else "unfinished"
        context.out.result(
            f"{mark} {generation.number:>4}  {made.created[:19]}Z  {outcome:<12} {verb:<18} {made.who}{why}"
        )
    if not newest:
        context.out.result("no generation yet: `aiops up` makes the first")
    context.out.data(
        {
            "current": current,
            "generations": [
                {**asdict(item.manifest), "outcome": asdict(item.outcome) if item.outcome else None} for item in newest
            ],
        }
    )
