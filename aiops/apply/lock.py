"""One change at a time: a lock that the kernel releases when its holder dies, and that says who holds it."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from aiops.errors import Precondition
from aiops.host import clock


@dataclass(frozen=True)
class Holder:
    """Who holds the lock. ``since`` is UTC, ISO 8601."""

    pid: int
    who: str
    verb: str
    since: str

    def __str__(self) -> str:
        return f"`aiops {self.verb}` by {self.who} (pid {self.pid}, since {self.since})"


@contextmanager
def held(state: Path, verb: str, patience: float, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock, waiting up to ``patience`` seconds for it. Raises Precondition naming the holder."""
    path = state / "lock"
    try:
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise Precondition(f"cannot open the lock {path}: {error.strerror}") from error
    with file:
        deadline = time.monotonic() + patience
        told = False
        while not _taken(file.fileno()):
            other = holder(state)
            if not told:
                say(f"waiting for {other or 'another aiops'} to finish (at most {patience:g} s)")
                told = True
            if time.monotonic() >= deadline:
                raise Precondition(
                    f"another change is going on: {other or 'an aiops that has not said who it is'}",
                    "wait for it, or end that process: an interrupted change is undone by the next verb",
                )
            time.sleep(0.05)
        # Who holds it is only a courtesy: a full disk must not keep a rollback from happening.
        with suppress(OSError):
            file.truncate(0)
            # Not through the file's buffer, which would try again, and fail, when the file is closed.
            os.write(file.fileno(), json.dumps(asdict(Holder(os.getpid(), clock.who(), verb, clock.now()))).encode())
        try:
            yield
        finally:
            with suppress(OSError):
                file.truncate(0)


def holder(state: Path) -> Holder | None:
    """Who holds the lock now; None when nobody does or nobody has said so."""
    try:
        text = (state / "lock").read_text()
        return Holder(**json.loads(text)) if text and is_held(state) else None
    except (OSError, ValueError, TypeError):
        return None


def is_held(state: Path) -> bool:
    try:
        with (state / "lock").open("a") as file:
            if _taken(file.fileno()):
                fcntl.flock(file.fileno(), fcntl.LOCK_UN)
                return False
            return True
    except OSError:
        return False


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
