"""``aiops version``"""

from __future__ import annotations

import click

from aiops.context import Context


@click.command("version", help="The versions of aiops, LiteLLM and Python here, and what the gateway runs.")
@click.pass_obj
def command(context: Context) -> None:
    from aiops.actions.about.version import version

    found = version(context.instance)
    context.out.answer(found.lines(), found.to_json())
