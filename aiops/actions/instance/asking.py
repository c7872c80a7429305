"""Asking a person, who may think as long as they like: nothing is held meanwhile, and nobody counts the seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from aiops.errors import Precondition
from aiops.output import Output


class Stopwatch:
    """The seconds that a verb takes, those excepted in which a person was thinking."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._waited = 0.0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started - self._waited

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """While this lasts, no second counts."""
        stopped = time.monotonic()
        try:
            yield
        finally:
            self._waited += time.monotonic() - stopped


class Proposal(Protocol):
    """What a verb would do, before anybody agreed to it."""

    @property
    def lines(self) -> Sequence[str]:
        """What a person is told, and agrees to."""

    @property
    def digest(self) -> str:
        """Stands for all of it: another one, and something else would be done than was agreed to."""

    @property
    def asks(self) -> bool:
        """False when there is nothing to agree to."""


def asks(out: Output, assume_yes: bool) -> bool:
    """Whether somebody sits there to be asked, and wants to be."""
    return out.interactive and not assume_yes


def ask(out: Output, watch: Stopwatch) -> None:
    """Ask whoever sits at the terminal. No lock may be held. Raises Precondition when the answer is no."""
    with watch.stopped():
        yes = out.ask("Do this?")
    if not yes:
        raise Precondition("not agreed to; nothing was changed")


def require_same(agreed: str, now: str) -> None:
    """What was agreed to, and what would be done now that the lock is held. Raises Precondition when they differ."""
    if agreed != now:
        raise Precondition(
            "something changed while you were asked, and what was agreed to is not what would be done now",
            "nothing was changed; the same command again shows what it is now",
        )
