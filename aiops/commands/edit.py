"""``aiops edit [SOURCE]``"""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem

from aiops.actions.change.terms import Terms
from aiops.commands._mutating import LOST_OR_EDITED, mutating, report
from aiops.context import Context

SOURCES = ("providers", "model-mappings", "aiops", "ports")


def _sources(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in SOURCES if name.startswith(begun)]


@click.command(
    "edit",
    help="Open a source in $VISUAL or $EDITOR, on a copy; what you typed is checked, shown as a plan, and made live. "
    f"SOURCE is one of {', '.join(SOURCES)}; providers when not given.",
)
@click.argument("source", required=False, shell_complete=_sources)
@click.option(
    "--from", "begin", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Begin with what is there."
)
@mutating(force=LOST_OR_EDITED)
@click.pass_obj
def command(context: Context, source: str | None, begin: Path | None, terms: Terms) -> None:
    from aiops.actions.files.edit import edit

    edited = edit(context.instance, source, begin, terms, context.out)
    if edited.result is not None:
        report(context, edited.result)
    else:
        context.out.answer([edited.sentence], edited.to_json())
