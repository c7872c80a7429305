"""What a check answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["pass", "fail", "skip"]
MORE_TIME = "`verify: {timeout: …}` in aiops.yaml is the time that each model has to answer"
Cause = Literal["", "absent", "slow", "wrong", "not asked"]


@dataclass(frozen=True)
class About:
    """Whom a check asks: a provider, by a served ``name`` of it, for what the provider calls ``backend``."""

    provider: str
    name: str = ""
    backend: str = ""


@dataclass(frozen=True)
class Check:
    """One fact that was looked at. ``ms`` is how long that took. A skip is never a pass.

    ``about``: None when it is the gateway alone that is looked at. ``cause``, of what did not pass: ``absent``, nobody
    was there to say no; ``slow``, neither in time; ``wrong``, refused and served on request; ``not asked``, on purpose.
    """

    id: str
    status: Status
    detail: str = ""
    ms: float = 0.0
    about: About | None = None
    cause: Cause = ""

    def __str__(self) -> str:
        sign = {"pass": "✓", "fail": "✗", "skip": "–"}[self.status]
        return f"{sign} {self.id}" + (f": {self.detail}" if self.detail else "")

    def to_json(self) -> dict[str, Any]:
        return {"id": self.id, "status": self.status, "detail": self.detail, "ms": self.ms}


class Failed(Exception):
    """Raised inside a check: the text is its detail."""

    cause: Cause = ""


class Absent(Failed):
    """The same, of somebody who is off, starting, too busy or too slow: nothing speaks against it but the silence."""

    cause: Cause = "absent"


class Slow(Absent):
    """The same, of whoever had begun to listen and did not answer in the time that proofs have."""

    cause = "slow"


class Skipped(Exception):
    """Raised inside a check that could not be made: the text says why."""

    cause: Cause = ""


class NotAsked(Skipped):
    """The same, of one that could have been made."""

    cause: Cause = "not asked"


def timed(identity: str, act: Callable[[], str], about: About | None = None) -> Check:
    """Run one check. ``act`` returns the detail of a pass, or raises Failed or Skipped."""
    started = time.monotonic()
    status: Status = "pass"
    cause: Cause = ""
    try:
        detail = act()
    except Failed as failure:
        status, detail, cause = "fail", str(failure), failure.cause
    except Skipped as skip:
        status, detail, cause = "skip", str(skip), skip.cause
    return Check(identity, status, detail, round((time.monotonic() - started) * 1000, 1), about, cause)


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
