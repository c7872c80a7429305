"""``aiops init``"""

from __future__ import annotations

import click

from aiops.commands._instance import settings
from aiops.context import Context


@click.command("init", help="Make an instance: commented defaults and a master key. Never overwrites anything.")
@settings
@click.pass_obj
def command(context: Context, profile: str | None, supervisor: str | None, port: int | None) -> None:
    from aiops.actions.instance.init import init

    instance = context.instance
    made = init(instance, profile, supervisor, port)
    for path in made:
        context.out.say(f"made {path}")
    if made:
        context.out.result(f"an instance in {instance.config}; next: `{instance.command} up`")
    else:
        context.out.result(f"there is an instance in {instance.config} already; nothing was changed")
    context.out.data({"outcome": "applied" if made else "unchanged", "made": [str(path) for path in made]})
