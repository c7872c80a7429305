"""Who keeps the gateway running. The change loop knows only this; each supervisor is a module of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from aiops.host.process import Update

# LiteLLM's import takes 5 to 14 s on common machines: only the length of a progress bar.
IMPORT_SECONDS = 7.0


class Supervisor(Protocol):
    name: str

    def start(self, host: str, port: int, update: Update) -> bool:
        """Make the master run and answer. False when it ran already. Raises Precondition."""
        ...

    def story(self) -> list[str]:
        """What the last start did to the machine, and why it left the rest as it was: lines for people."""
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
