"""The one way to hold an instance's lock: what an interrupted verb left is settled first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from aiops.actions.instance.asking import Proposal, Stopwatch, ask, asks, require_same
from aiops.apply import lock, recovery
from aiops.host.instance import Instance
from aiops.output import Output

P = TypeVar("P", bound=Proposal)

LOCK_PATIENCE_SECONDS = 30.0


def settled(instance: Instance, out: Output) -> list[str]:
    """Finish or undo what an interrupted verb left, and say so. Needs the lock."""
    said = recovery.settle(instance.state, instance.run, partial(_rows, instance))
    for sentence in said:
        out.say(sentence)
    return said


def _rows(instance: Instance, generation: int) -> None:
    """Keys and teams as they were before a change that did not go live."""
    from aiops.actions.instance.tenancy import settle  # nobody needs it but who was interrupted in that step

    settle(instance, generation)


def settle_first(instance: Instance, verb: str, out: Output) -> None:
    """Before somebody is asked: what an interrupted verb left is no part of what they agree to. Lets the lock go."""
    if recovery.pending(instance.state) is not None:
        with held(instance, verb, out, dry_run=False):
            pass


@contextmanager
def agreed(
    instance: Instance, verb: str, out: Output, propose: Callable[[], P], *, assume_yes: bool, watch: Stopwatch
) -> Iterator[P]:
    """Plan, tell, ask, and only then hold the lock: nobody waits for a person to make up their mind.

    ``propose`` looks at everything and changes nothing; it looks again under the lock, and what was agreed to has to
    be what would be done. What it raises goes through. Raises Precondition when the answer is no.
    """
    instance.require()
    before = None
    if asks(out, assume_yes):
        settle_first(instance, verb, out)
        before = propose()
        tell(before, out)
        if before.asks:
            ask(out, watch)
    with held(instance, verb, out, dry_run=False):
        now = propose()  # others may have changed anything before the lock was ours
        if before is None:
            tell(now, out)
        else:
            require_same(before.digest, now.digest)
        yield now


def tell(proposal: Proposal, out: Output) -> None:
    """Say what would be done."""
    for line in proposal.lines:
        out.say(line)


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
