"""Whether a fallback can answer for a name."""

from __future__ import annotations

from collections.abc import Iterator

from aiops.errors import Problem
from aiops.spec.load.draft import Draft, Suggester
from aiops.spec.routes.routing import Routing
from aiops.spec.routes.targets import Target, suits
from aiops.spec.sources import MAPPINGS
from aiops.spec.yaml.yaml12 import Path


def fallback_problem(
    draft: Draft, routing: Routing, suggest: Suggester, path: Path, name: str, wanted: str
) -> Iterator[Problem]:
    """When ``wanted``, a served model or a provider, cannot answer for ``name``."""
    target = routing.targets.get(name)
    if wanted == name:
        yield draft.problem(MAPPINGS, path, f"`{name}` falls back to itself")
    elif wanted in draft.names:
        if target is not None and unsuited(routing, target, wanted):
            yield draft.problem(MAPPINGS, path, *unsuited_words(name, wanted))
    elif wanted in draft.all_providers:
        if target is not None and wanted in draft.providers and routing.stand_in(target, wanted) is None:
            message = f"`{name}`: the provider `{wanted}` serves no other model to fall back to"
            yield draft.problem(MAPPINGS, path, message, "name a served model, or `fallback: null`")
    else:
        hint = suggest(wanted, also=draft.all_providers)
        yield draft.problem(
            MAPPINGS, path, f"`{name}`: the fallback `{wanted}` is neither a served model nor a provider", hint
        )


def unsuited(routing: Routing, target: Target, wanted: str) -> bool:
    other = routing.targets.get(wanted)
    return other is not None and other.name != target.name and not suits(target, other)


def unsuited_words(name: str, wanted: str) -> tuple[str, str]:
    return (
        f"`{name}` cannot fall back to `{wanted}`: they are models of different kinds",
        "name one of the same `mode`",
    )
