"""Who keeps the gateway running. The change loop knows only this; each supervisor is a module of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from aiops.errors import Precondition
from aiops.host.instance import Instance

Say = Callable[[str], None]
Update = Callable[[float, float, str], None]  # done, total, note: for a progress bar; seconds


class Supervisor(Protocol):
    name: str

    def start(self, host: str, port: int, update: Update) -> bool:
        """Make the master run and answer. False when it ran already. Raises Precondition."""
        ...

    def stop(self, limit: float, update: Update) -> bool:
        """Drain for at most ``limit`` seconds and stop; nothing is left behind. False when nothing ran."""
        ...

    def restart(self, host: str, port: int, update: Update) -> None:
        """A new master process, without refusing a connection. Raises Precondition."""
        ...

    def logs(self, lines: int, follow: bool) -> Iterator[str]:
        """The last ``lines`` lines of what the gateway said, then what it says."""
        ...


def choose(instance: Instance, wanted: str) -> Supervisor:
    """The supervisor that ``aiops.yaml`` asks for. Raises Precondition for one this version does not have."""
    from aiops.host.supervise_process import ProcessSupervisor

    if wanted in ("auto", "process"):
        return ProcessSupervisor(instance)
    raise Precondition(
        f"the supervisor `{wanted}` is not supported by this version",
        f"set `supervisor: process` in {Path(instance.config) / 'aiops.yaml'}",
    )
