"""One thing that goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Thing:
    """``what`` it is, for people. ``remove`` may be called when half of it is gone already; raises Precondition."""

    what: str
    remove: Callable[[], None]


@dataclass(frozen=True)
class Found:
    """``things`` in the order in which they go; ``left``: what stays, and why, in sentences."""

    things: tuple[Thing, ...] = ()
    left: tuple[str, ...] = ()

    def __add__(self, other: Found) -> Found:
        return Found(self.things + other.things, self.left + other.left)

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(f"- {thing.what}" for thing in self.things)

    @property
    def digest(self) -> str:
        return "\0".join(self.lines)

    @property
    def asks(self) -> bool:
        return bool(self.things)
