"""Everything a worker is given at its fork."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from aiops.gateway.worker.listed import Listed
from aiops.gateway.worker.settings import Settings
from aiops.gateway.worker.slots import Slots


@dataclass(frozen=True)
class Assignment:
    settings: Settings
    slots: Slots
    index: int
    environment: dict[str, str]
    directory: Path  # for its sockets
    state: Path  # what outlives it: counters, and the spool of what was used
    channel: socket.socket
    listener: socket.socket
    admin: socket.socket | None  # listens for the management API, when that has a port of its own
    backlog: int
    models: Listed | None = None  # of a light worker, which has no LiteLLM to ask

    def address(self, pid: int, kind: str) -> Path:
        """``kind`` is ``http`` (the private socket) or ``fd`` (the exchange)."""
        return self.directory / f"{pid}.{kind}"
