"""The options that every verb takes, before its name and after it: made here, added to whatever is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from aiops.context import Context

IN_HELP = "Here, too: --home DIR, --json, -o FORMAT, -y, --debug; see `aiops --help`."


class Everywhere(click.Option):
    """One of them. The help of ``aiops`` explains it, that of a verb only says that there is more (``IN_HELP``)."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        return super().get_help_record(ctx) if ctx.parent is None else None


class _Place(click.Path):
    """A directory. An empty one is a variable that is not set, and not where somebody happens to be."""

    name = "directory"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("the directory is empty text; is a variable not set?", param, ctx)
        return super().convert(value, param, ctx)


def options(*, first: bool = False) -> list[click.Parameter]:
    """``first``: those before the verb, which look into the environment. What is said later in a line counts."""
    return [
        _option(
            "--home",
            sets=_stay_at,
            type=_Place(path_type=Path, file_okay=False),
            envvar="AIOPS_HOME" if first else None,
            metavar="DIR",
            help="Keep everything below DIR (AIOPS_HOME).",
        ),
        _option(
            "--json",
            "as_json",
            sets=lambda context, _: context.speak(as_json=True),
            is_flag=True,
            help="Print one JSON object on stdout; `-o json` is the same.",
        ),
        _option(
            "-o",
            "output_format",
            sets=lambda context, name: context.speak(as_json=name == "json"),
            type=click.Choice(["json", "text"]),
            hidden=True,
        ),
        _option(
            "-y",
            "--yes",
            sets=_ask_nothing,
            is_flag=True,
            help="Do not ask.",
        ),
        _option(
            "--debug",
            sets=_show_tracebacks,
            is_flag=True,
            help="Show the traceback of an error.",
        ),
    ]


def add_to(command: click.Command) -> click.Command:
    """Let a verb, or a group of them, take them as well; once. Raises TypeError when it has one of the same name."""
    if any(isinstance(each, Everywhere) for each in command.params):
        return command
    ours = options()
    clash = _words(command.params) & _words(ours)
    if clash:
        raise TypeError(f"`{command.name}` may not have {', '.join(sorted(clash))}: every verb takes that")
    command.params.extend(ours)
    command.epilog = "\n\n".join(filter(None, (command.epilog, IN_HELP)))
    return command


def wants(arguments: list[str]) -> tuple[bool, bool]:
    """Whether a command line asks for JSON, and for tracebacks: known even when the rest of it makes no sense."""
    words = arguments[: arguments.index("--")] if "--" in arguments else arguments
    as_json = False
    for word, following in zip(words, [*words[1:], ""], strict=False):
        form = following if word == "-o" else word.removeprefix("-o")
        if word == "--json" or (word.startswith("-o") and form in ("json", "text")):
            as_json = word == "--json" or form == "json"
    return as_json, "--debug" in words


def _option(*names: str, sets: Callable[[Context, Any], None], **settings: Any) -> Everywhere:
    def take(ctx: click.Context, _: click.Parameter, value: Any) -> None:
        context = ctx.ensure_object(Context)
        if value:  # what is not said here leaves what was said before
            sets(context, value)

    return Everywhere([*names], callback=take, expose_value=False, **settings)


def _stay_at(context: Context, home: Path) -> None:
    context.home = home


def _ask_nothing(context: Context, _: bool) -> None:
    context.assume_yes = True


def _show_tracebacks(context: Context, _: bool) -> None:
    context.debug = True


def _words(parameters: list[click.Parameter]) -> set[str]:
    """Every word that means one of them, and the names under which click keeps them."""
    return {word for each in parameters for word in (each.name, *each.opts, *each.secondary_opts) if word}
