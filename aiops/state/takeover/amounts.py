"""Limits and money of one row, in our units; whatever cannot be read is noted and taken as not set. PURE."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiops.state import money, windows
from aiops.state.store.rows import BudgetLimit
from aiops.state.takeover.words import MODEL_RATES, TOO_MUCH, UNREADABLE, Note, Word

_IN_WORDS = {"hourly": "1h", "daily": "1d", "weekly": "7d", "monthly": "30d"}


@dataclass
class Notes:
    """What is to be told of one row, while it is read."""

    kind: str
    name: str
    found: list[Note] = field(default_factory=list)

    def add(self, word: Word, detail: str = "") -> None:
        note = Note(word, self.kind, self.name, detail)
        if note not in self.found:
            self.found.append(note)


def spent(amount: float | None, notes: Notes) -> int:
    """US dollars to nano-dollars; what is no amount is nothing."""
    try:
        return money.nano(amount or 0.0)
    except ValueError:
        notes.add(UNREADABLE, f"spend is {amount}")
        return 0


def most(amount: Any, name: str, notes: Notes) -> int | None:
    """Of a budget. Infinite is none; what is too large to be counted is cut."""
    if amount is None or amount == "" or amount == math.inf:
        return None
    if isinstance(amount, bool) or not isinstance(amount, int | float | str):
        _unread(name, amount, notes)
        return None
    try:
        value = float(amount)
        if value == math.inf or value * money.NANO > money.MOST:
            notes.add(TOO_MUCH, f"{name} is {amount}")
            return money.MOST
        return max(0, money.nano(amount))  # below zero everything is refused, as it is at zero
    except ValueError:
        _unread(name, amount, notes)
        return None


def duration(value: Any, name: str, notes: Notes) -> str | None:
    if value is None or value == "":
        return None
    text = _IN_WORDS.get(str(value).strip().lower(), str(value))
    try:
        windows.check(text)
    except ValueError:
        _unread(name, value, notes)
        return None
    return text


def budget_limits(value: Any, notes: Notes) -> tuple[BudgetLimit, ...]:
    """``[{"budget_duration": "1d", "max_budget": 5.0, "reset_at": …}]``."""
    entries = parsed(value, "budget_limits", notes, list) or []
    return tuple(each for each in (_entry(entry, "budget_limits", notes) for entry in entries) if each is not None)


def model_budgets(value: Any, notes: Notes) -> dict[str, tuple[BudgetLimit, ...]]:
    """``{model: {"budget_limit": 5.0, "time_period": "1d"}}``, or the newer names, or an amount alone."""
    found: dict[str, tuple[BudgetLimit, ...]] = {}
    for model, entry in (parsed(value, "model_max_budget", notes, dict) or {}).items():
        if not isinstance(entry, Mapping):
            entry = {"max_budget": entry}
        elif entry.get("tpm_limit") is not None or entry.get("rpm_limit") is not None:
            notes.add(MODEL_RATES, model)
        limit = _entry(entry, f"model_max_budget of {model}", notes)
        if limit is not None:
            found[model] = (limit,)
    return found


def model_limits(metadata: Mapping[str, Any], name: str, notes: Notes) -> dict[str, int]:
    """``{model: how many a minute}``."""
    found: dict[str, int] = {}
    for model, limit in (parsed(metadata.get(name), name, notes, dict) or {}).items():
        if limit is None:
            continue
        if isinstance(limit, bool) or not isinstance(limit, int | float) or not math.isfinite(limit):
            _unread(f"{name} of {model}", limit, notes)
        else:
            found[model] = int(limit)
    return found


def words(value: Any, name: str, notes: Notes) -> tuple[str, ...]:
    return tuple(str(each) for each in parsed(value, name, notes, list) or [])


def parsed(value: Any, name: str, notes: Notes, kind: type) -> Any:
    """JSON that LiteLLM wrote, here and there as text within JSON; None when there is nothing."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else None
        except ValueError:
            _unread(name, "no JSON", notes)
            return None
    if value is None or (not value and not isinstance(value, kind)):
        return None
    if isinstance(value, kind):
        return value
    _unread(name, f"no {'list' if kind is list else 'object'}", notes)
    return None


def said(value: Any) -> bool:
    """Whether somebody set it: not NULL, not empty, not false."""
    return value not in (None, "", "{}", "[]", "null", False) and value not in ((), {}, [])


def _entry(entry: Any, name: str, notes: Notes) -> BudgetLimit | None:
    if not isinstance(entry, Mapping):
        _unread(name, "no object", notes)
        return None
    amount = entry.get("max_budget", entry.get("budget_limit"))
    limit = most(amount, name, notes)
    if limit is None:
        return None
    return BudgetLimit(limit, duration(entry.get("budget_duration", entry.get("time_period")), name, notes))


def _unread(name: str, value: Any, notes: Notes) -> None:
    notes.add(UNREADABLE, f"{name} is {str(value)[:60]}")
