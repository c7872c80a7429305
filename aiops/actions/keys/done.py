"""What an act on a key has led to, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiops.actions.instance.heeded import Heeded
from aiops.state.store.rows import Key


@dataclass(frozen=True)
class Done:
    """``outcome``: applied, unchanged or planned. ``sentence``: for people. ``shape``: the key as LiteLLM's API has it.
    ``seq``: the number of the change, which every worker of every gateway follows. ``heeded``:
    since when, where that was waited for."""

    outcome: str
    row: Key
    sentence: str
    shape: dict[str, Any]
    seq: int | None = None
    heeded: Heeded | None = None

    @property
    def lines(self) -> list[str]:
        return [self.sentence, *(self.heeded.lines() if self.heeded is not None else ())]

    def to_json(self) -> dict[str, Any]:
        receipt = {} if self.heeded is None else {"receipt": [each.to_json() for each in self.heeded.receipt]}
        return {"outcome": self.outcome, **self.shape, **receipt}


def called(row: Key) -> str:
    """In a sentence."""
    return f"{row.alias} ({row.name})" if row.alias else row.name
