"""A group of verbs that are imported when they are called: its help imports none of them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import click

from aiops.commands import _everywhere as everywhere
from aiops.commands._neighbours import neighbours


class LazyGroup(click.Group):
    """``verbs``: the name of each verb to its one line of help. ``home``: the package that has a module for each.

    ``otherwise``: the verb that is meant when the first word is none; with ``alone`` also when there is no word at
    all. ``sections``: title to verbs, where there are
    too many for a line each; ``in_full`` has the lines then.
    """

    def __init__(
        self,
        *arguments: Any,
        verbs: Mapping[str, str],
        home: str,
        otherwise: str | None = None,
        alone: bool = False,
        sections: Mapping[str, Sequence[str]] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(*arguments, **settings)
        self.verbs = verbs
        self._home = home
        self._otherwise = otherwise
        self._alone = otherwise if alone else None
        self._sections = sections

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.verbs:
            return None
        module = importlib.import_module(f"{self._home}.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return everywhere.add_to(command)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if self._alone is not None and not args:
            args = [self._alone]
        rest = super().parse_args(ctx, args)
        if self._alone is not None and not ctx._protected_args:
            ctx._protected_args = [self._alone]
        return rest

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.verbs and not ctx.resilient_parsing:
            if self._otherwise is not None and (self._alone is None or args[0].startswith("-")):
                args = [self._otherwise, *args]
            elif not args[0].startswith("-"):
                raise click.UsageError(self._no_verb(ctx, args[0]), ctx)
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs before the options where they are in sections: they are what people look for."""
        if self._sections is None:
            super().format_options(ctx, formatter)
        else:
            self.format_commands(ctx, formatter)
            click.Command.format_options(self, ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self._sections is None:
            with formatter.section("Verbs"):
                formatter.write_dl(list(self.verbs.items()))
        else:
            with formatter.section("Verbs (`aiops help VERB` explains one, `aiops help --all` lists what each does)"):
                formatter.write_dl([(title, "  ".join(verbs)) for title, verbs in self._sections.items()])

    def in_full(self, ctx: click.Context) -> str:
        """Every verb with its line, by section."""
        formatter = ctx.make_formatter()
        sections = self._sections or {"Verbs": list(self.verbs)}
        width = max(map(len, self.verbs))
        for title, verbs in sections.items():
            with formatter.section(title):
                formatter.write_dl([(verb.ljust(width), self.verbs[verb]) for verb in verbs])
        return formatter.getvalue().strip()

    def _no_verb(self, ctx: click.Context, word: str) -> str:
        import difflib

        _, _, group = ctx.command_path.partition(" ")
        meant = [f"{ctx.find_root().command_path} {words}" for words in neighbours(group, word)]
        meant = meant or [f"{ctx.command_path} {near}" for near in difflib.get_close_matches(word, self.verbs, 1)]
        *others, last = [f"`{words}`" for words in meant] or [""]
        more = f"did you mean {', '.join(others)}{' or ' * bool(others)}{last}?"
        return f"there is no verb `{word}`; {more if last else f'`{ctx.command_path} --help` lists the verbs'}"
