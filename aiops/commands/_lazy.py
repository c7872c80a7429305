"""A group of verbs that are imported when they are called: its help imports none of them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

from aiops.commands import _everywhere as everywhere


class LazyGroup(click.Group):
    """``verbs``: the name of each verb to its one line of help. ``home``: the package that has a module for each.

    ``otherwise``: the verb that is meant when the first word is none.
    """

    def __init__(
        self, *arguments: Any, verbs: Mapping[str, str], home: str, otherwise: str | None = None, **settings: Any
    ) -> None:
        super().__init__(*arguments, **settings)
        self.verbs = verbs
        self._home = home
        self._otherwise = otherwise

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.verbs:
            return None
        module = importlib.import_module(f"{self._home}.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return everywhere.add_to(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.verbs and not ctx.resilient_parsing:
            if self._otherwise is not None:
                args = [self._otherwise, *args]
            elif not args[0].startswith("-"):
                raise click.UsageError(self._no_verb(ctx, args[0]), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(self.verbs.items()))

    def _no_verb(self, ctx: click.Context, word: str) -> str:
        import difflib

        near = difflib.get_close_matches(word, self.verbs, 1)
        path = ctx.command_path
        more = f"did you mean `{path} {near[0]}`?" if near else f"`{path} --help` lists the verbs"
        return f"there is no verb `{word}`; {more}"
