"""Settling what an interrupted verb left behind, before anything else is done."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from aiops.apply import store, writes
from aiops.apply.journal import Journal
from aiops.apply.store import GenerationStore, Outcome
from aiops.errors import AiopsError, RollbackFailed
from aiops.gateway.shared.messages import BUSY
from aiops.host import clock, files, master
from aiops.supervise import program

MASTER_SETTLES_SECONDS = 60.0  # it may be importing LiteLLM


def pending(state: Path) -> str | None:
    """One sentence about an unfinished change, for ``status``; None when there is none."""
    journal = Journal(state)
    if not journal.open:
        return None
    entry = journal.read()
    return f"`aiops {entry.verb}` by {entry.who} (since {entry.since}) was interrupted at `{journal.last_step()}`"


def settle(state: Path, run: Path, take_back_rows: Callable[[int], None] = lambda _: None) -> list[str]:
    """Finish or undo an unfinished change; returns what was done, in sentences. Needs the lock.

    What decides is the ``current`` pointer: the gateway flips it when it commits, so it says what serves now and
    after a restart. ``take_back_rows``: given the generation that did not go live, when its rows may have been written.
    Raises RollbackFailed when the files cannot be written.
    """
    journal = Journal(state)
    generations = GenerationStore(state)
    journal.sweep()
    generations.sweep()
    files.sweep(state)
    if not journal.open:
        return []
    said = [pending(state) or ""]
    entry = journal.read()
    wait_for_master(run)
    committed = generations.current() == entry.target
    try:
        wanted = None
        if committed:
            wanted = _after(generations, entry.target, list(entry.after))
        if not committed and journal.began("keys"):
            take_back_rows(entry.target)
        edited = writes.settle(entry, journal, wanted)
        for directory in {generations.path(entry.target), *(Path(name).parent for name in entry.after)}:
            files.sweep(directory)
        outcome = store.APPLIED if committed else store.INTERRUPTED
        generations.finish(entry.target, Outcome(outcome, clock.now(), detail=f"settled after: {said[0]}"))
        journal.close()
    except (OSError, AiopsError) as error:
        raise RollbackFailed(
            f"{said[0]}, and tidying up failed: {error}",
            files.hint_for(error) if isinstance(error, OSError) else "",
        ) from error
    if committed:
        said.append(f"it had gone live: generation {entry.target} serves, and its files are in place now")
    else:
        said.append(f"it had not gone live: undone, generation {entry.base or 'none'} is what counts")
    if back := program.settle(state, run):
        said.append(back)
    said += [f"{name} was edited meanwhile and is left as it is" for name in edited]
    return said


def _after(generations: GenerationStore, number: int, paths: list[str]) -> dict[str, bytes | None]:
    """What the files hold after the change, taken from the generation itself."""
    generation = generations.get(number)
    contents: dict[str, bytes | None] = {**generation.sources(), **generation.release()}
    # A file the generation does not hold (secrets/env) was written before the commit: it is there already.
    return {path: contents.get(Path(path).name, files.read(Path(path))) for path in paths}


def wait_for_master(run: Path) -> None:
    """A change whose session was lost is being reverted by the master; let it finish."""
    deadline = time.monotonic() + MASTER_SETTLES_SECONDS
    while time.monotonic() < deadline:
        status = master.status(run)
        if status is None or (status.state != BUSY and status.change is None):
            return
        time.sleep(0.05)
