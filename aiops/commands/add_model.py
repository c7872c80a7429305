"""``aiops add-model``"""

from __future__ import annotations

import click

from aiops.actions.change.prepare import Intent
from aiops.commands._mutating import mutating, run
from aiops.context import Context
from aiops.spec.edit import edit


@click.command("add-model", help="Add one model to a provider, live and proven.")
@click.argument("provider")
@click.argument("model")
@click.option("--fallback", metavar="M", help="The served model, or provider, that answers when this one cannot.")
@click.option("--pull", is_flag=True, help="Let an Ollama provider download the model first.")
@mutating(force=True)
@click.pass_obj
def command(
    context: Context,
    provider: str,
    model: str,
    fallback: str | None,
    pull: bool,
    dry_run: bool,
    reason: str,
    force: bool,
) -> None:
    if pull and not dry_run:
        from aiops.actions.provider.pull import pull_model

        pull_model(context.instance, provider, model, context.out)
    intent = Intent(
        "add-model",
        reason,
        lambda sources: edit.add_model(sources, provider, model, fallback),
        dry_run=dry_run,
        force=force,
        assume_yes=context.assume_yes,
    )
    run(context, intent)
