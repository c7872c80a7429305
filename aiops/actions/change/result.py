"""What a verb reports of a change, reached or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aiops.apply.step import Step
from aiops.errors import AiopsError
from aiops.plan.plan import Plan
from aiops.verify.check import Check
from aiops.verify.unproved import Unproved


@dataclass
class Result:
    """What a verb reports. ``seconds`` is wall time of the whole verb, waiting for an answer excluded."""

    outcome: str
    generation: int | None
    previous: int | None
    plan: Plan | None = None
    steps: list[Step] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    error: AiopsError | None = None
    unproved: Sequence[Unproved] = ()

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "outcome": self.outcome,
            "generation": self.generation,
            "previous": self.previous,
            "seconds": round(self.seconds, 3),
            "steps": [step.to_json() for step in self.steps],
            "checks": [check.to_json() for check in self.checks],
            "notes": self.notes,
            "unproved": [each.to_json() for each in self.unproved],
        }
        if self.plan is not None:
            data["plan"] = self.plan.to_json()
        if self.error is not None:
            data["error"] = {"code": self.error.name, "message": self.error.message, "hint": self.error.hint}
        return data


class ChangeFailed(AiopsError):
    """What ``error`` says, exit code and name included, together with the result that was reached."""

    def __init__(self, error: AiopsError, result: Result) -> None:
        super().__init__(error.message, error.hint, data=result.to_json())
        self.exit_code, self.name, self.outcome = error.exit_code, error.name, error.outcome
        self.error = error
        self.result = result
