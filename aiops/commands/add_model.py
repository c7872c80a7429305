"""``aiops add-model``"""

from __future__ import annotations

import click

from aiops.actions.change.terms import Terms
from aiops.commands import _names as names
from aiops.commands._mutating import LOST_OR_EDITED, mutating, report
from aiops.context import Context


@click.command("add-model", help="Add one model to a provider, live and proven.")
@click.argument("provider", shell_complete=names.providers)
@click.argument("model")
@click.option("--fallback", metavar="M", help="The served model, or provider, that answers when this one cannot.")
@click.option("--pull", is_flag=True, help="Let an Ollama provider download the model first.")
@mutating(force=LOST_OR_EDITED)
@click.pass_obj
def command(context: Context, provider: str, model: str, fallback: str | None, pull: bool, terms: Terms) -> None:
    from aiops.actions.model.add import add

    report(context, add(context.instance, provider, model, fallback, pull, terms, context.out))
