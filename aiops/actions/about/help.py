"""``aiops help``: the help of a verb, found as the verb itself is found."""

from __future__ import annotations

from collections.abc import Sequence

import click


def help(root: click.Context, words: Sequence[str]) -> str:
    """What ``aiops WORDS --help`` prints. Raises click.UsageError for a word that is no verb."""
    context = root
    for word in words:
        if not isinstance(context.command, click.Group):
            raise click.UsageError(f"`{context.command_path}` has no verbs of its own, so no `{word}`", context)
        name, command, _ = context.command.resolve_command(context, [word])
        if command is None or name is None:
            raise click.UsageError(f"there is no verb `{word}`", context)
        context = click.Context(command, parent=context, info_name=name)
    return context.get_help()
