"""Which workers a generation is served by: light ones at once, full ones when LiteLLM is there."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from aiops.gateway.master.group import Group
from aiops.gateway.worker import runtime, settings
from aiops.gateway.worker.settings import Settings


def can_be_light(loaded: Settings) -> bool:
    """Whether workers without LiteLLM can answer some of it: a deployment is asked directly, or there is none."""
    lanes = loaded.lanes
    return lanes is not None and lanes.mode == "auto" and (bool(lanes.direct) or not lanes.why_not)


def needs_litellm(loaded: Settings) -> bool:
    """Whether some deployment can be asked by way of LiteLLM only."""
    return not can_be_light(loaded) or (loaded.lanes is not None and loaded.lanes.needs_litellm)


def is_loaded_first(committed: Path | None, groups: Collection[Group], others: Collection[int]) -> bool:
    """Whether a master imports LiteLLM before it serves anything: nobody could answer without it, or those who do
    answer (``groups`` that it was given, ``others`` whose master is gone) have it, and lose nothing by waiting."""
    if groups:
        return not all(group.light for group in groups)
    if runtime.is_loaded() or committed is None:
        return runtime.is_loaded()
    try:
        loaded = settings.load(committed)
    except (OSError, ValueError):
        return False  # why it cannot be served is said when that is tried
    return not can_be_light(loaded) or (bool(others) and needs_litellm(loaded))
