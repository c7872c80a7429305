"""One value of a field, as JSON or a command line has it, to what is stored. Each raises ValueError that says why not.

Null is always a value: not limited, not named, never.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from aiops.spec.suggest import nearest
from aiops.state import money, tokens, windows
from aiops.state.store.rows import BudgetLimit

T = TypeVar("T")
Budgets = tuple[BudgetLimit, ...]

LONGEST_NAME = 200
LONGEST_LIST = 1000
MOST_METADATA = 64 * 1024
MOST_COUNT = 10**12
NEVER = "-1"
"""LiteLLM's word for a key that never expires."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def optional(read: Callable[[Any], T]) -> Callable[[Any], T | None]:
    def or_none(value: Any) -> T | None:
        return None if value is None else read(value)

    return or_none


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("is no text")
    if not value.strip():
        raise ValueError("is empty")
    if len(value) > LONGEST_NAME:
        raise ValueError(f"is longer than {LONGEST_NAME} characters")
    if _CONTROL.search(value):
        raise ValueError("holds control characters")
    return value.strip()


def name(value: Any) -> str | None:
    """Empty text is nobody, as LiteLLM has it."""
    return None if value is None or value == "" else text(value)


def own_key(value: Any) -> str | None:
    """A key that the caller made. Messages never repeat it."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError("is no text")
    if weak := tokens.weakness(value):
        raise ValueError(f"cannot be a key: {weak}")
    return value


def flag(value: Any) -> bool:
    if value is None:
        return False
    if not isinstance(value, bool):
        raise ValueError("is neither true nor false")
    return value


def count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or value % 1:
        raise ValueError(f"is no whole number, but {_shown(value)}")
    if value < 0:
        raise ValueError(f"is negative: {_shown(value)}")
    if value > MOST_COUNT:
        raise ValueError(f"is more than can be counted: {_shown(value)}")
    return int(value)


def dollars(value: Any) -> int | None:
    """US dollars to nano-dollars. LiteLLM takes empty text for none."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"is no amount of money, but {_shown(value)}")
    found = money.nano(value)
    if found < 0:
        raise ValueError(f"is negative: {_shown(value)}")
    return found


def share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1_000_000:
        raise ValueError(f"is no weight between 0 and a million, but {_shown(value)}")
    return float(value)


def duration(value: Any) -> str | None:
    """How long a window of a budget is."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError(f"is no duration such as 30d, but {_shown(value)}")
    _explained(windows.check, value)
    return value


def lifetime(value: Any) -> int | None:
    """Seconds until it ends; None: never. ``-1`` is LiteLLM's word for never."""
    if value is None or value in ("", NEVER):
        return None
    if isinstance(value, str) and re.fullmatch(r"-\d+[a-z]*|0+[a-z]*", value):
        raise ValueError(f"is in the past: {_shown(value)}")
    return windows.seconds(str(duration(value)))


def names(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list | tuple):
        raise ValueError("is no list")
    if len(value) > LONGEST_LIST:
        raise ValueError(f"has {len(value)} entries, {LONGEST_LIST} at most are possible")
    return tuple(dict.fromkeys(map(text, value)))


def one_of(*words: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in words:
            close = nearest(str(value), words)
            meant = f"; did you mean `{close}`?" if close else f"; there are {', '.join(words)}"
            raise ValueError(f"is {_shown(value)}, which is not known{meant}")
        return str(value)

    return read


def counts(value: Any) -> dict[str, int] | None:
    """A number for each model."""
    return {model: _of(model, count, each) for model, each in _mapping(value).items()} if value is not None else None


def metadata(value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    found = _mapping(value)
    try:
        size = len(json.dumps(found, allow_nan=False))
    except ValueError:
        raise ValueError("is no JSON: it holds a number that is none") from None
    if size > MOST_METADATA:
        raise ValueError(f"has {size} characters of JSON, {MOST_METADATA} at most are kept")
    return found


def budgets(value: Any) -> Budgets | None:
    """``[{"budget_duration": "1d", "max_budget": 10}]``: several windows at once, each of its own duration."""
    if value is None:
        return None
    if not isinstance(value, list | tuple):
        raise ValueError("is no list of {budget_duration, max_budget}")
    found = tuple(_budget(each, needs_duration=True) for each in value)
    durations = [each.budget_duration for each in found]
    for twice in {each for each in durations if durations.count(each) > 1}:
        raise ValueError(f"has two budgets of {twice}")
    return found


def model_budgets(value: Any) -> dict[str, Budgets] | None:
    """``{"gpt-4o": 5.0}``, or ``{"gpt-4o": {"max_budget": 5, "budget_duration": "1d"}}``, or a list of those."""
    if value is None:
        return None
    return {model: _of(model, _of_a_model, each) for model, each in _mapping(value).items()}


def _of_a_model(value: Any) -> Budgets:
    if isinstance(value, list):
        return budgets(value) or ()
    if isinstance(value, Mapping):
        return (_budget(value, needs_duration=False),)
    return (BudgetLimit(amount(value)),)


# What LiteLLM called it before.
_OLDER = {"budget_limit": "max_budget", "time_period": "budget_duration"}


def _budget(value: Any, *, needs_duration: bool) -> BudgetLimit:
    given = {_OLDER.get(key, key): each for key, each in _mapping(value).items()}
    given.pop("reset_at", None)  # LiteLLM's answers have it, and it follows from the duration
    for limit in ("tpm_limit", "rpm_limit"):
        if given.pop(limit, None) is not None:
            raise ValueError(f"has `{limit}`: write it into `model_{limit}`")
    if unknown := given.keys() - {"max_budget", "budget_duration"}:
        raise ValueError(f"has `{min(unknown)}`, which is not known; it takes max_budget and budget_duration")
    length = duration(given.get("budget_duration"))
    if needs_duration and length is None:
        raise ValueError("has a budget without `budget_duration`")
    return BudgetLimit(amount(given.get("max_budget")), length)


def amount(value: Any) -> int:
    """``dollars`` that have to be there."""
    found = dollars(value)
    if found is None:
        raise ValueError("has no amount")
    return found


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"is no mapping, but {_shown(value)}")
    return {text(key): each for key, each in value.items()}


def _of(key: str, read: Callable[[Any], T], value: Any) -> T:
    try:
        return read(value)
    except ValueError as error:
        raise ValueError(f"of {key} {error}") from None


def _explained(check: Callable[[str], None], value: str) -> None:
    try:
        check(value)
    except ValueError as error:
        raise ValueError(f"is wrong: {error}") from None


def _shown(value: Any) -> str:
    """Short enough for a message."""
    if isinstance(value, float) and math.isnan(value):
        return "not a number"
    shown = value if isinstance(value, str) else json.dumps(value, default=str)
    return shown if len(shown) <= 40 else shown[:40] + "…"
