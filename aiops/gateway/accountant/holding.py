"""One accountant for each state directory: a new one asks the one before it to retire, and waits until it has."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from aiops.gateway.shared.accounting import LOCK, holder

RETIRE_SECONDS = 5.0  # to write what is in the spools; then it is ended: what it had not noted is read again
TICK = 0.01
_WIDTH = 16  # bytes: more than any process id has


class Holding:
    """The lock, held until the process ends. Raises OSError."""

    def __init__(self, state: Path) -> None:
        self._file = os.open(state / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._succeed(state)
        # Over what is there, and only then made shorter: on a full disk there would be no room for it again.
        said = f"{os.getpid()}\n".encode()
        os.pwrite(self._file, said.ljust(_WIDTH), 0)
        os.ftruncate(self._file, len(said))

    def _succeed(self, state: Path) -> None:
        asked, deadline = 0, 0.0
        while not self._locked():
            pid = holder(state)
            # Two that start at once: whoever has it now may not have said so yet, and is asked when it has.
            if pid and pid not in (asked, os.getpid()):
                asked, deadline = pid, time.monotonic() + RETIRE_SECONDS
                _tell(pid, signal.SIGTERM)
            elif pid and time.monotonic() > deadline:
                _tell(pid, signal.SIGKILL)
            time.sleep(TICK)

    def _locked(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _tell(pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
