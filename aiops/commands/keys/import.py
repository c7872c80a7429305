"""``aiops keys import``"""

from __future__ import annotations

from pathlib import Path

import click

from aiops.actions.change.terms import Terms
from aiops.commands._mutating import mutating
from aiops.context import Context


@click.command("import", help="Take over keys, teams, users, budgets and what was spent from a LiteLLM database.")
@click.argument("url", required=False)
@click.option(
    "--database-url-file",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A file with the URL, and the password in it.",
)
@click.option("--database-url-env", "variable", metavar="VARIABLE", help="An environment variable that has it.")
@click.option(
    "--without",
    multiple=True,
    metavar="WORD",
    help="Let keys do without what aiops has no equal for, such as `guardrails`; may be repeated.",
)
@mutating()
@click.pass_obj
def command(
    context: Context,
    url: str | None,
    file: Path | None,
    variable: str | None,
    without: tuple[str, ...],
    terms: Terms,
) -> None:
    """URL: postgresql://USER@HOST:PORT/DATABASE, without a password."""
    from aiops.actions.keys.take_over import Where, take_over

    taken = take_over(context.instance, Where(url, file, variable), without, terms, context.out)
    context.out.answer(taken.lines(), taken.to_json(), signed=True)
