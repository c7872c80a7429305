"""``size: "8B - 13B"``: which sizes of a model a rule is for."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aiops.spec.choosing import sizes

_SIZE = r"(\d[\d.]*(?:[xX]\d[\d.]*)?\s?[kKmMbBtT])"
_COMPARED = re.compile(rf"(<=|>=|<|>)\s*{_SIZE}")
_BETWEEN = re.compile(rf"{_SIZE}\s*(?:-|–|to)\s*{_SIZE}")  # people do write the long dash
EXAMPLES = '"< 8B", "8B - 13B" or "> 13B"'


@dataclass(frozen=True)
class SizeRange:
    """Billions of parameters, from ``over`` to ``up_to`` (None: without end)."""

    over: float = 0.0
    up_to: float | None = None
    includes_over: bool = False
    includes_up_to: bool = True

    def holds(self, size: float) -> bool:
        """Whether it is for models of ``size`` billions."""
        above = size > self.over or (self.includes_over and size == self.over)
        below = self.up_to is None or size < self.up_to or (self.includes_up_to and size == self.up_to)
        return above and below


def parse_range(text: str) -> SizeRange:
    """Read ``< 8B``, ``<= 8B``, ``8B - 13B`` (both ends belong to it), ``> 13B``, ``>= 13B``. Raises ValueError."""
    compared = _COMPARED.fullmatch(text.strip())
    if compared is not None:
        sign, size = compared[1], sizes.parse(compared[2])
        if sign[0] == "<":
            return SizeRange(up_to=size, includes_up_to=sign == "<=")
        return SizeRange(over=size, includes_over=sign == ">=")
    between = _BETWEEN.fullmatch(text.strip())
    if between is None:
        raise ValueError(f"`{text[:40]}` is not a range of sizes; write for example {EXAMPLES}")
    low, high = sizes.parse(between[1]), sizes.parse(between[2])
    if low > high:
        raise ValueError(f"`{text[:40]}` is empty: the first size is the larger one")
    return SizeRange(low, high, includes_over=True)
