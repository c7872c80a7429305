"""Workers that outlived their master: they serve on until a generation of this master does, and leave then."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Collection
from pathlib import Path

from aiops.gateway.master.say import say
from aiops.gateway.worker.connections import retire, stand_by


class Orphans:
    def __init__(self, run: Path, known: Collection[int] = ()) -> None:
        """Look for them in the run directory. ``known`` workers have a master."""
        self._serving = _exchanges(run, known)
        self._leaving: dict[int, str] = {}  # they were told to, and may have streams to finish
        self._held: dict[str, socket.socket] = {}  # exchange -> link, while they stand by

    @property
    def pids(self) -> list[int]:
        """Those that nobody has told to leave."""
        return sorted(self._serving)

    @property
    def exchanges(self) -> list[str]:
        return list(self._serving.values())

    def are_there(self) -> bool:
        """Whether some of them still are: nobody is told when they end."""
        self._serving = {pid: exchange for pid, exchange in self._serving.items() if _answers(exchange)}
        return bool(self._serving)

    def stand_by(self, listener: socket.socket) -> None:
        """They accept nothing at this address until ``resume``, or until this master is gone."""
        self._held = stand_by(self.exchanges, listener)

    def resume(self) -> None:
        for link in self._held.values():
            link.close()
        self._held = {}

    def retire(self, heirs: list[str]) -> None:
        """They leave when they have finished what they have. Those that are leaving already learn of newer heirs."""
        still = {pid: exchange for pid, exchange in self._leaving.items() if retire(exchange, heirs)}
        for pid, exchange in self._serving.items():
            if retire(exchange, heirs, self._held.pop(exchange, None)):
                say(f"worker {pid} of an earlier master leaves")
                still[pid] = exchange
        self._serving, self._leaving = {}, still
        self.resume()


def _exchanges(directory: Path, known: Collection[int]) -> dict[int, str]:
    """pid -> exchange address. Sockets of dead workers are removed."""
    found: dict[int, str] = {}
    for path in sorted(directory.glob("*.fd")):
        if path.stem in map(str, known):
            continue
        if not _answers(str(path)):
            path.unlink(missing_ok=True)
            path.with_suffix(".http").unlink(missing_ok=True)
            continue
        with contextlib.suppress(ValueError):
            found[int(path.stem)] = str(path)
    return found


def _answers(exchange: str) -> bool:
    """Whether somebody is there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        probe.settimeout(2)
        return probe.connect_ex(exchange) == 0
