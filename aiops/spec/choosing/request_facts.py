"""What the rules can ask about a request, from what is known of it: the same for one that came and one described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiops.spec.choosing.conditions import Facts

CHARACTERS_PER_TOKEN = 4  # no tokenizer runs in the request path; English text is near this
LOW, MEDIUM = 50, 100  # tokens: up to these, complexity is low, medium; above it is high
TRUE = frozenset({"true", "1", "yes"})


def facts_of(
    model: str, *, headers: Mapping[str, str], tokens: int, length: int, stream: bool, batch_size: int
) -> Facts:
    """``headers``: lower-case names. ``request_count`` and the saturations are not known here."""
    from aiops.spec.choosing.conditions import Facts  # of this module the shapes of the files need numbers alone

    return Facts(
        model=model,
        tokens=tokens,
        length=length,
        stream=stream,
        batch_size=batch_size,
        batch_mode=batch_size > 1 or headers.get("x-batch", "").strip().lower() in TRUE,
        complexity=complexity(tokens),
        quality_tier=headers.get("x-quality-tier", "standard").strip().lower(),
        headers=headers,
    )


def complexity(tokens: int) -> str:
    return "low" if tokens <= LOW else "medium" if tokens <= MEDIUM else "high"
