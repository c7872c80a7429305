"""Which workers a generation is served by: light ones at once, full ones when LiteLLM is there."""

from __future__ import annotations

from aiops.gateway.worker.settings import Settings


def can_be_light(loaded: Settings) -> bool:
    """Whether workers without LiteLLM can answer some of it: a deployment is asked directly, or there is none at all."""
    lanes = loaded.lanes
    return lanes is not None and lanes.mode == "auto" and (bool(lanes.direct) or not lanes.why_not)


def needs_litellm(loaded: Settings) -> bool:
    """Whether some deployment can be asked by way of LiteLLM only."""
    return not can_be_light(loaded) or (loaded.lanes is not None and loaded.lanes.needs_litellm)
