"""Sections about the command line: what a person waits for, and what a change takes while others want the processor."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.bench.figures import Figure, median
from tests.bench.gateways import Instance, Ran
from tests.bench.session import Session

HOGS = 2
SPIN = "while True: pass"


def cli(session: Session) -> Iterator[Figure]:
    """Looking, checking and changing; with ``--against`` beside another checkout, in turns."""
    rounds = session.rounds(20, 3)
    with contextlib.ExitStack() as stack:
        instance = session.instance(stack)
        url = session.provider(stack, ("one",)).url
        planned = ("add-provider", "two", *serving(url), "--dry-run")
        looks: tuple[tuple[tuple[str, ...], float | None], ...] = (
            (("--help",), 120),
            (("status",), 250),
            (("validate", "--offline"), None),
            (planned, None),
        )
        for words, limit in looks:
            yield from beside(session, instance, words, rounds, limit)
        yield from beside(session, instance, ("add-provider",), rounds, None, url)


def busy(session: Session) -> Iterator[Figure]:
    """A change while two processes that do nothing but compute want all there is."""
    with contextlib.ExitStack() as stack:
        instance = session.instance(stack)
        url = session.provider(stack, ("one",)).url
        changes(instance, url, None)  # the first one reads the disk
        rounds = session.rounds(10, 3)
        yield median(
            "busy: aiops add-provider, nobody else", [changes(instance, url, None).seconds for _ in range(rounds)]
        )
        for _ in range(HOGS):
            hog = stack.enter_context(subprocess.Popen([sys.executable, "-c", SPIN]))
            stack.callback(hog.kill)
        for checkout in session.checkouts:
            seconds = [changes(instance, url, checkout).seconds for _ in range(rounds)]
            limit = 2.0 if checkout is None else None
            yield median(
                f"busy: aiops add-provider beside {HOGS} busy processes{named(checkout)}", seconds, limit=limit
            )


def beside(
    session: Session, instance: Instance, words: tuple[str, ...], rounds: int, limit: float | None, url: str = ""
) -> Iterator[Figure]:
    """One command line, measured in turns for each checkout: milliseconds to wait, seconds of processor time."""

    def once(checkout: Path | None) -> Ran:
        return changes(instance, url, checkout) if url else instance.run(*words, checkout=checkout)

    ran: dict[Path | None, list[Ran]] = {checkout: [] for checkout in session.checkouts}
    for number in range(rounds + 1):
        for checkout, so_far in ran.items():
            one = once(checkout)
            if number:  # the first one reads the disk
                so_far.append(one)
    name = " ".join((words[0], *(word for word in words[1:] if word in ("--offline", "--dry-run"))))
    for checkout, all_of_them in ran.items():
        most = limit if checkout is None else None
        yield median(f"cli: aiops {name}{named(checkout)}", [one.seconds * 1000 for one in all_of_them], "ms", most)
        yield median(f"cli: aiops {name}{named(checkout)}, processor", [one.cpu for one in all_of_them])
    if len(ran) > 1:
        ours, theirs = (statistics.median(one.cpu for one in each) for each in ran.values())
        yield Figure(f"cli: aiops {name}, processor time of the other", ours / theirs, "x")


def changes(instance: Instance, url: str, checkout: Path | None) -> Ran:
    """Add a provider, and take it away again unmeasured."""
    ran = instance.run("add-provider", "one", *serving(url), checkout=checkout)
    instance.run("remove-provider", "one", "--force")
    return ran


def serving(url: str) -> tuple[str, ...]:
    """The options of ``add-provider`` for the double at ``url``."""
    return ("--type", "openai_compatible", "--base-url", url, "--model", "one")


def named(checkout: Path | None) -> str:
    return f" ({checkout.name})" if checkout else ""
