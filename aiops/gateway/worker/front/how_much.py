"""How long each answer may be and how many there are, as a body says it to whichever server reads it.

Each server heeds a name of its own and passes over the others, and nobody knows here which one will answer: the largest
counts, wherever it is said.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

MOST = 2**31 - 1
"""Tokens, or answers: what is more is no number of them."""

LENGTHS = frozenset(
    {
        *("max_tokens", "max_completion_tokens", "max_output_tokens", "maxTokens", "maxOutputTokens"),
        *("n_predict", "num_predict", "max_new_tokens", "max_tokens_to_sample", "maxTokenCount", "max_gen_len"),
    }
)
ANSWERS = frozenset({"n", "best_of", "n_cmpl", "candidateCount", "candidate_count", "num_return_sequences"})
_INSIDE = frozenset(
    {
        *("options", "parameters", "extra_body", "config", "generationConfig", "generation_config"),
        *("inferenceConfig", "textGenerationConfig"),
    }
)
_DEEPEST = 4


def max_tokens(said: Mapping[str, Any]) -> int | None:
    """Tokens of one answer at most; None when nothing says it."""
    return max((number for value in _said(said, LENGTHS) if 0 < (number := _number(value)) < MOST), default=None)


def is_endless(said: Mapping[str, Any]) -> bool:
    """One of its lengths is none, as ``n_predict: -1`` of llama.cpp: what others say may not be heeded then."""
    return any(not 0 < _number(value) < MOST for value in _said(said, LENGTHS))


def answers(said: Mapping[str, Any]) -> int:
    return max((1, *(_number(value) for value in _said(said, ANSWERS))))


def _said(said: Mapping[str, Any], names: frozenset[str], depth: int = 0) -> Iterable[Any]:
    """Each that is not null."""
    return () if names.isdisjoint(said) and _INSIDE.isdisjoint(said) else _each(said, names, depth)


def _each(said: Mapping[str, Any], names: frozenset[str], depth: int) -> Iterator[Any]:
    for name, value in said.items():
        if name in names:
            if value is not None:
                yield value
        elif depth < _DEEPEST and name in _INSIDE and isinstance(value, dict):
            yield from _said(value, names, depth + 1)


def _number(value: object) -> int:
    """As servers read it that take ``"900"`` and ``900.0`` too, MOST at most. 0 for what is no number above 0."""
    if not isinstance(value, int | float | str):
        return 0
    try:
        number = float(value)
    except ValueError:
        return 0
    except OverflowError:
        return MOST
    return math.ceil(min(number, MOST)) if number > 0 else 0
