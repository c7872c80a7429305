"""``aiops env``"""

from __future__ import annotations

import shlex

import click

from aiops.actions.instance.place import place
from aiops.context import Context
from aiops.host import credentials


@click.command("env", help='Shell variables for clients: eval "$(aiops env)".')
@click.pass_obj
def command(context: Context) -> None:
    instance = context.instance
    where = place(instance)
    key = credentials.read_master_key(where.master_key)
    values = {
        "OPENAI_BASE_URL": where.url,
        "OPENAI_API_KEY": key,
    }
    for name, value in values.items():
        context.out.result(f"export {name}={shlex.quote(value)}")
    context.out.data(values)
