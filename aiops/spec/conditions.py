"""Conditions: the small expression language of ``condition:``. Parsed, never evaluated as Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class Facts:
    """What a condition can ask about one request.

    ``tokens``: estimated, of the prompt. ``length``: characters of the prompt. ``batch_size``: how many inputs or
    prompts one request carries. ``request_count``: requests for this name that are being answered now, this one
    included. ``saturation``: how full the provider of the member that is judged is, 1.0 when all its slots are taken;
    ``local_saturated``: whether every local member is at the threshold (0.8) or above. ``headers``: lower-case names.
    """

    model: str = ""
    tokens: int = 0
    length: int = 0
    stream: bool = False
    batch_size: int = 1
    batch_mode: bool = False
    request_count: int = 1
    complexity: str = "low"
    quality_tier: str = "standard"
    saturation: float = 0.0
    local_saturated: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
