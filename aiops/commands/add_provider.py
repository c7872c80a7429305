"""``aiops add-provider``"""

from __future__ import annotations

from pathlib import Path

import click

from aiops.actions.change.prepare import Intent
from aiops.commands._mutating import mutating, run
from aiops.context import Context
from aiops.errors import UsageError
from aiops.spec.edit import edit
from aiops.spec.shapes.model import ModelSpec
from aiops.spec.sources import Sources


@click.command("add-provider", help="Add a provider and its routes: proven first, then live, undone when it fails.")
@click.argument("name")
@click.option(
    "--type", "kind", required=True, metavar="T", help="ollama, vllm, llama_cpp, openai_compatible, openai, …"
)
@click.option("--base-url", metavar="URL", help="Where it is; services know their own address.")
@click.option("--model", "models", multiple=True, metavar="M", help="A model it serves; repeat for more.")
@click.option("--discover", is_flag=True, help="Ask the provider for its models, and what it says of them.")
@click.option("--fallback", metavar="M", help="The served model, or provider, that answers when this one cannot.")
@click.option("--api-key-env", metavar="VAR", help="The environment variable that holds its key.")
@click.option("--api-key-file", metavar="F", help="The file that holds its key.")
@click.option("--description", metavar="TEXT", help="For people; carried into model_info.")
@click.option("--health-endpoint", metavar="P", help="The path to probe for its health.")
@mutating(force=True)
@click.pass_obj
def command(
    context: Context,
    name: str,
    kind: str,
    base_url: str | None,
    models: tuple[str, ...],
    discover: bool,
    fallback: str | None,
    api_key_env: str | None,
    api_key_file: str | None,
    description: str | None,
    health_endpoint: str | None,
    dry_run: bool,
    reason: str,
    force: bool,
) -> None:
    if not models and not discover:
        raise UsageError("which models does it serve?", "name them with --model M, or let --discover ask the provider")
    if api_key_env and api_key_file:
        raise UsageError("--api-key-env and --api-key-file exclude each other", "keep one of them")
    if api_key_file:
        api_key_file = str(Path(api_key_file).expanduser().absolute())
    found: tuple[ModelSpec, ...] = ()
    slots = None
    if discover:
        from aiops.actions.provider.discover import models_of

        report = models_of(
            context.instance,
            name,
            kind=kind,
            base_url=base_url,
            api_key_env=api_key_env,
            api_key_file=api_key_file,
            known=models,
        )
        found, slots = report.models, report.parallel
        for note in report.notes:
            context.out.say(note)

    def add(sources: Sources) -> edit.Edit:
        return edit.add_provider(
            sources,
            name,
            type=kind,
            base_url=base_url,
            models=(*models, *found),
            fallback=fallback,
            api_key_env=api_key_env,
            api_key_file=api_key_file,
            description=description,
            health_endpoint=health_endpoint,
            max_parallel=slots,
        )

    run(context, Intent("add-provider", reason, add, dry_run=dry_run, force=force, assume_yes=context.assume_yes))
