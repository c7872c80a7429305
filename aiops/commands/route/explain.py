"""``aiops route explain MODEL``"""

from __future__ import annotations

from collections.abc import Sequence

import click

from aiops.commands import _names as names
from aiops.context import Context


@click.command("explain", help="Which rule answers a name, who is asked in which order, and why.")
@click.argument("model", shell_complete=names.models)
@click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="The request has this header.")
@click.option("--tokens", type=click.IntRange(0), default=0, metavar="N", help="The prompt has about N tokens.")
@click.option("--stream", is_flag=True, help="The answer is streamed.")
@click.option("--batch", type=click.IntRange(1), default=1, metavar="N", help="The request carries N inputs.")
@click.option("--path", metavar="PATH", help="It is asked there, for example at /v1/embeddings.")
@click.pass_obj
def command(
    context: Context, model: str, headers: Sequence[str], tokens: int, stream: bool, batch: int, path: str | None
) -> None:
    from aiops.actions.route.explain import explain, path_of, request, unanswered

    found = explain(context.instance, request(model, headers, tokens, stream, batch), path_of(path))
    if not found.rule:
        raise unanswered(found)
    context.out.answer(found.lines(), found.to_json())
