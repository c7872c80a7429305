"""How large a model is: "7B" as billions of parameters, so that sizes can be compared."""

from __future__ import annotations

import re

_BILLIONS = {"K": 1e-6, "M": 1e-3, "B": 1.0, "T": 1e3}
_NUMBER = r"(?:(?P<experts>\d{1,3})[xX])?(?P<number>\d{1,6}(?:\.\d{1,6})?)"
_SIZE = re.compile(_NUMBER + r" ?(?P<unit>[kKmMbBtT])(?:-[aA]\d+(?:\.\d+)?[bB])?")
# Ollama and the model hubs write it between `:`, `-`, `_` and `/`: llama3.1:8b, Qwen2.5-Coder-7B, mixtral:8x7b.
_IN_NAME = re.compile(r"(?<![A-Za-z0-9.])" + _NUMBER + r"(?P<unit>[mMbBtT])(?![A-Za-z0-9])")
_ORDER = ("T", "B", "M", "K")


def parse(text: str) -> float:
    """Billions of parameters: "7B" is 7.0, "137M" 0.137, "1T" 1000.0, "8x7B" 56.0, "30B-A3B" 30.0 (all of them count).

    Raises ValueError.
    """
    found = _SIZE.fullmatch(text.strip())
    billions = _billions(found) if found is not None else 0.0
    if not billions:
        raise ValueError(f"`{text[:40]}` is not a size; write for example 7B, 137M or 1T")
    return billions


def in_name(name: str) -> float | None:
    """The size that stands in a model's name, in billions: 8.0 for "llama3.1:8b". None when none does."""
    found = _IN_NAME.search(name)
    return (_billions(found) or None) if found is not None else None


def shown(billions: float) -> str:
    """The inverse of ``parse``, to three figures: 8.03 is "8.03B", 0.137 "137M"."""
    unit = next((unit for unit in _ORDER if billions >= _BILLIONS[unit]), "K")
    return f"{billions / _BILLIONS[unit]:.3g}{unit}"


def _billions(found: re.Match[str]) -> float:
    scaled = float(found["number"]) * _BILLIONS[found["unit"].upper()]
    return round(int(found["experts"] or 1) * scaled, 9)
