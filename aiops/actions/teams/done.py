"""What an act on a team has led to, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiops.state.store.rows import Team


@dataclass(frozen=True)
class Done:
    """``outcome``: applied, unchanged or planned. ``sentence``: for people. ``shape``: the team as LiteLLM's API has
    it."""

    outcome: str
    row: Team
    sentence: str
    shape: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {"outcome": self.outcome, **self.shape}


def called(row: Team) -> str:
    """In a sentence."""
    return f"team {row.alias or row.id}"
