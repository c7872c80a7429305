"""``aiops show``"""

from __future__ import annotations

from dataclasses import asdict

import click

from aiops.apply.store import GenerationStore
from aiops.context import Context


@click.command("show", help="One generation: how it came about, what it changed, what it serves.")
@click.argument("number", type=int)
@click.pass_obj
def command(context: Context, number: int) -> None:
    instance, out = context.instance, context.out
    instance.require()
    generation = GenerationStore(instance.state).get(number)
    made, end = generation.manifest, generation.outcome
    table, _ = generation.routes()
    facts = {
        "generation": number,
        "made": f"{made.created} by {made.who} with `aiops {made.verb}`",
        "reason": made.reason or "–",
        "parent": made.parent or "–",
        "outcome": f"{end.outcome} after {end.seconds:.2f} s" if end else "unfinished",
        "detail": end.detail if end else "",
        "files": str(generation.directory),
    }
    for name, value in facts.items():
        if value != "":
            out.result(f"{name + ':':<12}{value}")
    out.result("changes:")
    for line in made.changes or ("none",):
        out.result(f"  {line}")
    out.result(f"models ({len(table.routes)}):")
    for route in table.routes[:200]:
        ways = f"  then {', '.join(route.fallbacks)}" if route.fallbacks else ""
        instead = f" (for {route.substitute_for})" if route.substitute_for else ""
        out.result(f"  {route.model} → {route.provider}/{route.backend_model}{instead}{ways}")
    out.data(
        {
            **asdict(made),
            "outcome": asdict(end) if end else None,
            "directory": str(generation.directory),
            **table.to_data(),
        }
    )
