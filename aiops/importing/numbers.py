"""Numbers as people write them into configurations: what is none counts as not written."""

from __future__ import annotations

import math
from typing import Any


def number(value: Any) -> int | float | None:
    """A finite number; None for everything else, text included."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:  # whole, and beyond what a float holds
        return None


def whole(value: Any) -> int | None:
    """A whole number; None for everything else, text included."""
    return value if isinstance(value, int) and number(value) is not None else None
