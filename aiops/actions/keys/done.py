"""What an act on a key has led to, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiops.state.store.rows import Key


@dataclass(frozen=True)
class Done:
    """``outcome``: applied, unchanged or planned. ``sentence``: for people. ``shape``: the key as LiteLLM's API has it.
    ``seq``: the number of the change, which every worker of every gateway follows."""

    outcome: str
    row: Key
    sentence: str
    shape: dict[str, Any]
    seq: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {"outcome": self.outcome, **self.shape}


def called(row: Key) -> str:
    """In a sentence."""
    return f"{row.alias} ({row.name})" if row.alias else row.name
