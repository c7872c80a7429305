"""Keeping the log from filling the disk: LiteLLM writes a traceback for every request a provider fails."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from pathlib import Path

LARGEST_BYTES = 50 * 1024 * 1024
CHECK_SECONDS = 30.0


class Rotation:
    """Of what is written to ``descriptor``: looked at every ``CHECK_SECONDS``."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._next = 0.0

    def look(self, now: float) -> None:
        if now >= self._next:
            self._next = now + CHECK_SECONDS
            rotate(self._descriptor)


def rotate(descriptor: int, largest: int = LARGEST_BYTES) -> bool:
    """When the file behind ``descriptor`` is too large, keep it as ``NAME.1`` and begin anew. True when it was.

    The file is emptied in place, because workers write to it too; all of them opened it for appending. Not a
    regular file (a terminal, the journal): somebody else takes care of it.
    """
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode) or facts.st_size <= largest:
        return False
    path = Path(f"/proc/self/fd/{descriptor}").readlink()
    # A disk too full for the copy is all the more reason to empty the file.
    with contextlib.suppress(OSError):
        kept = path.with_name(f"{path.name}.1")
        shutil.copyfile(path, kept)
        kept.chmod(0o600)
    os.ftruncate(descriptor, 0)
    return True
