"""``aiops plan``"""

from __future__ import annotations

import click

from aiops.actions.change.prepare import Intent, prepare
from aiops.actions.instance.snapshot import Snapshot
from aiops.context import Context

CHANGES = 10


@click.command("plan", help="What `aiops apply` would do. Changes nothing.")
@click.option("--exit-code", is_flag=True, help=f"Exit {CHANGES} when there are changes.")
@click.pass_obj
def command(context: Context, exit_code: bool) -> int:
    prepared = prepare(Snapshot.of(context.instance), Intent("plan"))
    same = prepared.is_same
    out, plan = context.out, prepared.plan
    if same:
        out.result("no changes")
    else:
        for line in plan.lines():
            out.result(line)
        out.result(f"\nplan {plan.digest}\nto do exactly this: aiops apply --plan {plan.digest[:12]}")
    out.data({"outcome": "planned", **plan.to_json()})
    return CHANGES if exit_code and not same else 0
