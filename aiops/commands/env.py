"""``aiops env``"""

from __future__ import annotations

import shlex

import click

from aiops.context import Context


@click.command("env", help='Shell variables for clients: eval "$(aiops env)".')
@click.pass_obj
def command(context: Context) -> None:
    from aiops.actions.service.env import env

    values = env(context.instance)
    context.out.answer((f"export {name}={shlex.quote(value)}" for name, value in values.items()), values)
