"""``aiops add-provider``"""

from __future__ import annotations

from pathlib import Path

import click

from aiops.actions.change.terms import Terms
from aiops.commands._mutating import LOST_OR_EDITED, mutating, report
from aiops.context import Context
from aiops.errors import UsageError


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
@mutating(force=LOST_OR_EDITED)
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
    terms: Terms,
) -> None:
    if api_key_env and api_key_file:
        raise UsageError("--api-key-env and --api-key-file exclude each other", "keep one of them")
    from aiops.actions.provider.add import NewProvider, add

    new = NewProvider(
        name,
        kind,
        base_url,
        models,
        discover=discover,
        fallback=fallback,
        api_key_env=api_key_env,
        api_key_file=str(Path(api_key_file).expanduser().absolute()) if api_key_file else None,
        description=description,
        health_endpoint=health_endpoint,
    )
    report(context, add(context.instance, new, terms, context.out))
