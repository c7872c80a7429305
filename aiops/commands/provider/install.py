"""``aiops provider install``"""

from __future__ import annotations

import click

from aiops.actions.change.terms import Terms
from aiops.commands import _names as names
from aiops.commands._mutating import mutating
from aiops.context import Context


@click.command("install", help="Put the unit of a provider in place, by its type: ollama, vllm or llama_cpp.")
@click.argument("name", shell_complete=names.providers)
@click.option("--model", metavar="PATH", help="What vLLM or llama.cpp loads; as it was when not given.")
@click.option("--args", "arguments", metavar="TEXT", help="More arguments for the server, as one text.")
@click.option("--program", metavar="PATH", help="The server itself; found by its name when not given.")
@mutating(force="Also replace a unit that was edited; a copy is kept.")
@click.pass_obj
def command(
    context: Context, name: str, model: str | None, arguments: str | None, program: str | None, terms: Terms
) -> None:
    from aiops.actions.provider.install import InstallIntent, install

    intent = InstallIntent(
        name,
        model,
        arguments,
        program,
        force=terms.force,
        dry_run=terms.dry_run,
        assume_yes=terms.assume_yes,
        reason=terms.reason,
    )
    outcome = install(context.instance, intent, context.out)
    context.out.answer([outcome.sentence], outcome.to_json())
