"""What a whole suite answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from aiops.host import files
from aiops.verify.check import Check, failures, junit


@dataclass(frozen=True)
class Verified:
    """What was proved, and what was not."""

    suite: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        return not failures(self.checks)

    @property
    def counts(self) -> dict[str, int]:
        return {status: sum(check.status == status for check in self.checks) for status in ("pass", "fail", "skip")}

    @property
    def summary(self) -> str:
        return ", ".join(f"{number} {status}" for status, number in self.counts.items())

    def to_json(self) -> dict[str, Any]:
        checks = [check.to_json() for check in self.checks]
        return {"ok": self.ok, "suite": self.suite, **self.counts, "checks": checks}


def require_place(report: Path | None) -> None:
    """Before anything is asked, and not after minutes of it: that the report can be written. Raises Precondition."""
    if report is not None:
        with files.explained(report, "write"), TemporaryFile(dir=report.absolute().parent):
            pass


def verified(suite: str, checks: Sequence[Check], report: Path | None) -> Verified:
    """``report``: where they are written as JUnit XML, if anywhere. Raises Precondition when that cannot be written."""
    if report is not None:
        with files.explained(report, "write"):
            files.write(report.absolute(), junit(checks, suite))
    return Verified(suite, tuple(checks))
