"""What the master is told when it is started."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """Where things are. ``run`` is short enough for unix sockets and private to the user.

    ``stop_within``: most seconds that open requests and streams get when the master is told to stop by a signal.
    """

    state: Path
    run: Path
    secrets: Path
    host: str
    port: int
    stop_within: float | None = None
