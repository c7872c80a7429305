"""One line per attempt to change something: who, what, why, how it ended."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiops.host import clock, files
from aiops.supervise.announce import announce


def record(path: Path, **facts: Any) -> None:
    """Append a line, and tell the journal.

    A full disk does not undo a change that is live, so failing to write it is not an error.
    """
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        files.append_line(path, json.dumps({"at": clock.now(), "who": clock.who(), **facts}, ensure_ascii=False))
    announce(path.parent, facts)


def record_incident(directory: Path, generation: int, **facts: Any) -> Path | None:
    """Write what happened around a rollback as a file of its own; None when it could not be written."""
    path = directory / f"{generation:06d}.json"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        content = {"at": clock.now(), "who": clock.who(), "generation": generation, **facts}
        files.write(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode(), 0o600)
    except OSError:
        return None
    return path
