"""One step of something that takes several, as it went."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Step:
    """``ok``: it came to its end. ``seconds`` is wall time."""

    name: str
    ok: bool
    seconds: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@contextmanager
def step(steps: list[Step], name: str) -> Iterator[None]:
    """Take one step and add it to ``steps``, also when it fails."""
    started, ok = time.monotonic(), False
    try:
        yield
        ok = True
    finally:
        steps.append(Step(name, ok, round(time.monotonic() - started, 3)))
