"""Which gateway this is among those that share a database: a random name that its state directory was given once."""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from pathlib import Path

NAME = "replica"


def replica(state: Path) -> str:
    """Made by whoever asks first. Raises OSError."""
    path = state / NAME
    with suppress(FileNotFoundError):
        return path.read_text().strip()
    draft = state / f".{NAME}.{os.getpid()}"
    draft.touch(0o600)
    draft.write_text(f"{uuid.uuid4().hex}\n")
    with suppress(FileExistsError):  # another process was quicker
        os.link(draft, path)
    draft.unlink()
    return path.read_text().strip()
