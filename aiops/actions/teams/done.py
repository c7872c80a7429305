"""What an act on a team has led to, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiops.actions.instance.heeded import Heeded
from aiops.state.store.rows import Team


@dataclass(frozen=True)
class Done:
    """``outcome``: applied, unchanged or planned. ``sentence``: for people. ``shape``: the team as LiteLLM's API has
    it. ``heeded``: since when every worker of every gateway follows it, where that was waited for."""

    outcome: str
    row: Team
    sentence: str
    shape: dict[str, Any]
    heeded: Heeded | None = None

    @property
    def lines(self) -> list[str]:
        return [self.sentence, *(self.heeded.lines() if self.heeded is not None else ())]

    def to_json(self) -> dict[str, Any]:
        receipt = {} if self.heeded is None else {"receipt": [each.to_json() for each in self.heeded.receipt]}
        return {"outcome": self.outcome, **self.shape, **receipt}


def called(row: Team) -> str:
    """In a sentence."""
    return f"team {row.alias or row.id}"
