"""``python -m aiops.gateway.keeper``: the first process of a container. Its one child that matters is the master.

A container ends with its first process. If that were the master, its death would take the workers along; here they
serve on, and a new master takes them over, as it does without a container. It imports nothing: it must not fail.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

from aiops.gateway.shared.protocol import SUCCEEDED

PR_SET_CHILD_SUBREAPER = 36  # prctl(2)


NO_USE_TRYING_AGAIN = (2, 4)  # usage; the address is taken or the installed LiteLLM is not acceptable


QUIET_SECONDS = 10.0  # a master that ran for longer is started again at once


PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)


TICK = 0.1  # a sleep goes on after a signal, PEP 475


class Keeper:
    def __init__(self, argv: list[str]) -> None:
        self._argv = argv
        self._master = 0
        self._stopping = False
        self._failures = 0

    def run(self) -> int:
        """Until the master has stopped because it was asked to, and its workers; its exit code."""
        # Orphaned workers become our children also where we are not process 1 (podman --init, a shared namespace).
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        code = 0
        while self._start():
            started = time.monotonic()
            code = self._wait()
            if code == SUCCEEDED:
                self._wait_for_workers()
                return 0
            if code in NO_USE_TRYING_AGAIN or (code == 0 and not self._has_children()):
                return code
            if code and not self._stopping:
                self._pause(time.monotonic() - started)
        self._wait_for_workers()
        return code

    def _start(self) -> bool:
        """A master, unless this process was asked to stop while there was none that could be told."""
        # Signals wait until the new master is known, or one of them would reach nobody.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        if not self._stopping:
            self._master = os.posix_spawn(sys.executable, self._argv, os.environ, setsigmask=[])
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
        return self._master != 0

    def _wait(self) -> int:
        """Reap whatever ends until the master has; its exit code, 128 + the signal that killed it."""
        while True:
            pid, status = os.waitpid(-1, 0)
            if pid == self._master:
                self._master = 0
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code

    def _wait_for_workers(self) -> None:
        """Until those that are left have finished. Nobody but them is here to be told to stop."""
        if self._stopping:  # perhaps before their master had died
            self._stop_workers()
        with suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)

    def _stop_workers(self) -> None:
        for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGTERM)

    def _has_children(self) -> bool:
        """Whether workers were left behind: a master that was asked to stop leaves none."""
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                continue
        except ChildProcessError:
            return False
        return True

    def _pause(self, lived: float) -> None:
        self._failures = 0 if lived > QUIET_SECONDS else self._failures + 1
        over = time.monotonic() + PAUSES[min(self._failures, len(PAUSES) - 1)]
        sys.stderr.write(f"keeper: the master ended after {lived:.1f} s; a new one starts\n")
        sys.stderr.flush()
        while not self._stopping and time.monotonic() < over:
            time.sleep(TICK)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        if self._master:
            with suppress(ProcessLookupError):  # it has just been collected
                os.kill(self._master, signal.SIGTERM)
        else:
            self._stop_workers()


def main() -> int:
    """Keep a master that is given our own arguments; the exit code."""
    return Keeper([sys.executable, "-m", "aiops.gateway", *sys.argv[1:]]).run()


if __name__ == "__main__":
    sys.exit(main())
