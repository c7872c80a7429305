"""``aiops help [VERB…]``"""

from __future__ import annotations

from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem

from aiops.commands._lazy import LazyGroup
from aiops.context import Context


def _verbs(ctx: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
    group = ctx.find_root().command
    for word in ctx.params.get("words") or ():
        found = group.get_command(ctx, word) if isinstance(group, LazyGroup) else None
        group = found if found is not None else click.Command(None)
    verbs = group.verbs if isinstance(group, LazyGroup) else {}
    return [CompletionItem(verb, help=line) for verb, line in verbs.items() if verb.startswith(begun)]


@click.command("help", help="Explain a verb; without one, what verbs there are.")
@click.argument("words", nargs=-1, metavar="[VERB]...", shell_complete=_verbs)
@click.option("--all", "everything", is_flag=True, help="Every verb, with a line each.")
@click.pass_context
def command(ctx: click.Context, words: Sequence[str], everything: bool) -> None:
    from aiops.actions.about.help import help

    root, context = ctx.find_root(), ctx.ensure_object(Context)
    text = root.command.in_full(root) if everything and isinstance(root.command, LazyGroup) else help(root, words)
    context.out.answer([text], {"help": text})
