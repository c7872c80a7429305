"""What a check answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Status = Literal["pass", "fail", "skip"]


@dataclass(frozen=True)
class Check:
    """One fact that was looked at. ``ms`` is how long that took. A skip is never a pass."""

    id: str
    status: Status
    detail: str = ""
    ms: float = 0.0

    def __str__(self) -> str:
        sign = {"pass": "✓", "fail": "✗", "skip": "–"}[self.status]
        return f"{sign} {self.id}" + (f": {self.detail}" if self.detail else "")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Failed(Exception):
    """Raised inside a check: the text is its detail."""


class Skipped(Exception):
    """Raised inside a check that could not be made: the text says why."""


def timed(identity: str, act: Callable[[], str]) -> Check:
    """Run one check. ``act`` returns the detail of a pass, or raises Failed or Skipped."""
    started = time.monotonic()
    try:
        status, detail = "pass", act()
    except Failed as failure:
        status, detail = "fail", str(failure)
    except Skipped as skip:
        status, detail = "skip", str(skip)
    ms = round((time.monotonic() - started) * 1000, 1)
    return Check(identity, status, detail, ms)  # type: ignore[arg-type]


def failures(checks: Sequence[Check]) -> list[Check]:
    return [check for check in checks if check.status == "fail"]


def junit(checks: Sequence[Check], suite: str) -> bytes:
    """The checks as a JUnit XML document."""
    from xml.etree import ElementTree  # for one option of one verb

    counts = {status: sum(check.status == status for check in checks) for status in ("fail", "skip")}
    seconds = sum(check.ms for check in checks) / 1000
    root = ElementTree.Element(
        "testsuite",
        name=f"aiops verify {suite}",
        tests=str(len(checks)),
        failures=str(counts["fail"]),
        skipped=str(counts["skip"]),
        time=f"{seconds:.3f}",
    )
    for check in checks:
        case = ElementTree.SubElement(root, "testcase", name=check.id, time=f"{check.ms / 1000:.3f}")
        if check.status == "fail":
            ElementTree.SubElement(case, "failure", message=check.detail)
        elif check.status == "skip":
            ElementTree.SubElement(case, "skipped", message=check.detail)
    document: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return document
