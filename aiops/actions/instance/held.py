"""The one way to hold an instance's lock: what an interrupted verb left is settled first."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from aiops.apply import lock, recovery
from aiops.errors import Precondition
from aiops.host.instance import Instance
from aiops.output import Output

LOCK_PATIENCE_SECONDS = 30.0


def settled(instance: Instance, out: Output) -> list[str]:
    """Finish or undo what an interrupted verb left, and say so. Needs the lock."""
    said = recovery.settle(instance.state, instance.run)
    for sentence in said:
        out.say(sentence)
    return said


def agreed(out: Output, assume_yes: bool) -> float:
    """Ask whoever sits at the terminal; returns the seconds that took. Raises Precondition when the answer is no."""
    if assume_yes or not out.interactive:
        return 0.0
    asked = time.monotonic()
    if not out.ask("Do this?"):
        raise Precondition("not agreed to; nothing was changed")
    return time.monotonic() - asked


@contextmanager
def held(instance: Instance, verb: str, out: Output, *, dry_run: bool) -> Iterator[None]:
    """Hold the lock, with what an interrupted verb left settled; a dry run takes no lock and settles nothing."""
    instance.require()
    if dry_run:
        yield
        return
    with locked(instance, verb, out):
        settled(instance, out)
        yield


@contextmanager
def locked(instance: Instance, verb: str, out: Output) -> Iterator[None]:
    """The lock alone, for verbs that can settle only once the master runs, or is gone. Raises Precondition."""
    with lock.held(instance.state, verb, LOCK_PATIENCE_SECONDS, out.say):
        yield
