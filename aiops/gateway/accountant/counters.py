"""Which counters the generations of this gateway have: while one gives way to the next, these may be others."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from aiops.gateway.accountant.say import say
from aiops.gateway.shared import deployment, pointer
from aiops.state.counters.opened import Opened, opened

PATIENCE_SECONDS = 1.0  # no request waits for the accountant


class CountersOf:
    """``redis_url``: of the committed generation, None for the memory that the workers of this host share. Raises
    ValueError for a URL that cannot be one."""

    def __init__(self, state: Path, secrets: Path, redis_url: str | None) -> None:
        self._state, self._secrets = state, secrets
        self._opened: dict[str | None, Opened] = {}
        self._of: dict[int, Opened] = {}
        self.committed = self._at(redis_url)

    def generation(self, number: int) -> Opened:
        """Those that its workers count in; of one that is not there, the committed one's."""
        if number not in self._of:
            with suppress(OSError, ValueError):
                self._of[number] = self._at(self._url(number))
        return self._of.get(number, self.committed)

    def _url(self, number: int) -> str | None:
        current = pointer.read(self._state)
        if current is None:
            return None
        names = (each.name for each in current.parent.iterdir() if each.name.isdigit())
        name = next((name for name in names if int(name) == number), current.name)
        found = deployment.of(current.parent / name)
        return found.redis_url(self._secrets) if found is not None else None

    def _at(self, redis_url: str | None) -> Opened:
        if redis_url not in self._opened:
            self._opened[redis_url] = opened(self._state, redis_url, say, seconds=PATIENCE_SECONDS)
        return self._opened[redis_url]
