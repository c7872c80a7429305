"""What a worker that has left had counted in its last minutes: a file beside its socket, for whoever asks later.

    run/4711.8812345.minutes    JSON: {"worker": "4711.8812345", "minutes": [{"began": …, "models": [row, …]}, …]}

``began`` is in seconds since 1970, so that a file from before a reboot is old and not strange. A row is what a living
worker says at ``/_aiops/routes``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

SUFFIX = ".minutes"
MINUTES = 5  # that are told of, the one that runs included
SECONDS = MINUTES * 60.0  # how long ago the oldest minute that is told of may have begun

Row = Mapping[str, Any]


def leave(directory: Path, worker: str, minutes: Iterable[tuple[float, list[Row]]]) -> None:
    """Write what ``worker`` has counted, and remove what is too old to be told. Raises OSError."""
    counted = [{"began": began, "models": rows} for began, rows in minutes if rows]
    if counted:
        path = directory / f"{worker}{SUFFIX}"
        draft = directory / f"{path.name}.new"
        draft.touch(0o600)
        draft.write_text(json.dumps({"worker": worker, "minutes": counted}))
        draft.replace(path)
    for path in directory.glob(f"*{SUFFIX}"):
        with suppress(FileNotFoundError):  # another worker leaves too
            if time.time() - path.stat().st_mtime > SECONDS:
                path.unlink()


def forget(directory: Path) -> None:
    """Remove what workers left: the gateway is stopped, and nobody asks any more."""
    for path in directory.glob(f"*{SUFFIX}"):
        path.unlink(missing_ok=True)


def left(directory: Path, now: float) -> Iterator[tuple[str, list[Row]]]:
    """Each worker that has left, and its rows of the minutes that are told of. ``now``: seconds since 1970."""
    for path in sorted(directory.glob(f"*{SUFFIX}")):
        try:
            said = json.loads(path.read_bytes())
            rows = [row for each in said["minutes"] if 0 <= now - each["began"] < SECONDS for row in each["models"]]
            worker = str(said["worker"])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # removed meanwhile, or nobody's
        if rows:
            yield worker, rows
