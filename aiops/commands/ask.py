"""``aiops ask MODEL TEXT``"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from aiops.commands import _names as names
from aiops.context import Context
from aiops.errors import UsageError


@click.command(
    "ask",
    help="Ask a model a question, as a client would: on the public port, with the instance's key. "
    "The question may be several words; `-` reads it from stdin.",
)
@click.argument("model", shell_complete=names.models)
@click.argument("text", nargs=-1, required=True)
@click.option("--max-tokens", type=click.IntRange(1), metavar="N", help="The answer may have N tokens.")
@click.pass_obj
def command(context: Context, model: str, text: Sequence[str], max_tokens: int | None) -> None:
    from aiops.actions.service.ask import Question, ask

    out = context.out
    question = _read() if tuple(text) == ("-",) else " ".join(text)
    if not question.strip():
        raise UsageError("the question is empty", f'`{context.instance.command} ask {model} "…"`')
    heard = False

    def hear(piece: str) -> None:
        nonlocal heard
        heard = True
        out.piece(piece)

    try:
        answered = ask(context.instance, Question(model, question, max_tokens), hear)
    finally:
        if heard:
            out.piece("\n")
    out.say(answered.line())
    out.data(answered.to_json())


def _read() -> str:
    try:
        text = sys.stdin.read().strip()
        text.encode()
    except UnicodeError as error:
        raise UsageError("the question is not UTF-8 text", "type it again, or convert it") from error
    return text
