"""``aiops env``"""

from __future__ import annotations

import shlex

import click

from aiops.change import url_of
from aiops.cli import Context
from aiops.host import credentials
from aiops.service import desired


@click.command("env", help='Shell variables for clients: eval "$(aiops env)".')
@click.pass_obj
def command(context: Context) -> None:
    instance = context.instance
    state = desired(instance)
    key = credentials.read_master_key(instance.secrets / (state.settings.master_key_file or "master_key"))
    values = {
        "OPENAI_BASE_URL": f"{url_of(state.gateway.host, state.gateway.port)}/v1",
        "OPENAI_API_KEY": key,
    }
    for name, value in values.items():
        context.out.result(f"export {name}={shlex.quote(value)}")
    context.out.data(values)
