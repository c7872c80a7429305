"""What a shell offers for an argument that names a provider, a model or a generation.

Whoever presses the tabulator gets names or nothing, never an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem

from aiops.context import Context

Found = Iterable[tuple[str, str | None]]
Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _of(find: Callable[[Context, click.Context], Found]) -> Complete:
    """Names that ``find`` knows of, with what a shell may say about each."""

    def complete(ctx: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
        try:
            found = list(find(ctx.ensure_object(Context), ctx))
        except Exception:  # no instance, broken files, somebody else's: all the same to whoever types
            return []
        return [CompletionItem(name, help=about) for name, about in found if name.startswith(begun)]

    return complete


def _providers(context: Context, _: click.Context) -> Found:
    from aiops.actions.about import names

    return ((name, None) for name in names.providers(context.instance))


def _models(context: Context, _: click.Context) -> Found:
    from aiops.actions.about import names

    return ((name, None) for name in names.models(context.instance))


def _models_of_it(context: Context, ctx: click.Context) -> Found:
    from aiops.actions.about import names

    return ((name, None) for name in names.models_of(context.instance, str(ctx.params.get("provider"))))


def _generations(context: Context, _: click.Context) -> Found:
    from aiops.actions.about import names

    return ((str(number), about) for number, about in names.generations(context.instance))


def _keys(context: Context, _: click.Context) -> Found:
    from aiops.actions.keys import names

    return names.keys(context.instance)


def _teams(context: Context, _: click.Context) -> Found:
    from aiops.actions.keys import names

    return names.teams(context.instance)


providers, models, models_of_it, generations = map(_of, (_providers, _models, _models_of_it, _generations))
keys, teams = map(_of, (_keys, _teams))
