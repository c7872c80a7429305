"""The ``current`` pointer: which generation serves, now and after a restart. Flipping it is the commit point."""

from __future__ import annotations

import os
from pathlib import Path

NAME = "current"


def flip(state: Path, generation: Path) -> None:
    """Point ``state/current`` at ``generation`` atomically and durably. Raises OSError, leaving the old pointer."""
    temporary = state / f".{NAME}.{os.getpid()}"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(os.path.relpath(generation, state))
    try:
        temporary.replace(state / NAME)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    descriptor = os.open(state, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(state: Path) -> Path | None:
    """The directory of the current generation, or None when nothing was ever committed."""
    try:
        return (state / NAME).resolve(strict=True)
    except (FileNotFoundError, OSError):
        return None
