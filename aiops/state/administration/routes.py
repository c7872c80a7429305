"""Which routes a key may be held to."""

from __future__ import annotations

from typing import Any

from aiops.spec.suggest import did_you_mean
from aiops.state.administration import readers
from aiops.state.rules import ROUTE_GROUPS


def routes(value: Any) -> tuple[str, ...] | None:
    """Paths, patterns of them, and LiteLLM's names of groups."""
    found = readers.names(value)
    for each in found or ():
        if not each.startswith("/") and each not in ROUTE_GROUPS:
            hint = did_you_mean(each, ROUTE_GROUPS, f"a path, or one of {', '.join(sorted(ROUTE_GROUPS))}")
            raise ValueError(f"has `{each}`, which is no route: {hint}")
    return found
