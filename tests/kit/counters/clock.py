"""A clock that stands still until a test moves it."""

from __future__ import annotations

SECOND = 1_000_000


class Clock:
    """``seconds``: since 1970; called, it says microseconds."""

    def __init__(self, seconds: float = 1_800_000_000.0) -> None:
        self.micros = int(seconds * SECOND)

    def __call__(self) -> int:
        return self.micros

    def pass_by(self, seconds: float) -> None:
        self.micros += round(seconds * SECOND)

    @property
    def seconds(self) -> float:
        return self.micros / SECOND
