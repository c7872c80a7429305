"""The accountant's process: started, started again when it ends, stopped last. Whatever happens to it, workers serve.

It is a program of its own (fork and exec), so that it has nothing of LiteLLM in memory. A new one asks the one before
to retire: that is how it changes hands between two masters, or two programs of one, without a moment without any.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from aiops.gateway.master.say import say
from aiops.gateway.shared import accounting, deployment, messages
from aiops.gateway.shared.journald import WARNING

BACKOFF_FIRST, BACKOFF_MOST = 0.1, 30.0  # seconds until it is started again, doubled for each end in a row
STEADY_SECONDS = 60.0
STOP_SECONDS = 3.0  # to write what is in the spools; what is not is written after the next start
# A service manager's, or those of a descriptor: none of them is meant for it.
NOT_ITS = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")


class Accountant:
    """``state``, ``run`` and ``secrets``: the directories of this gateway."""

    def __init__(self, state: Path, run: Path, secrets: Path) -> None:
        places = ("--state", str(state), "--run", str(run), "--secrets", str(secrets))
        self._argv = [sys.executable, "-P", "-m", accounting.MODULE, *places]
        self._deployment = deployment.Watch(state, secrets)
        self._pid = 0
        # Of the program that this process was before: its child is ours, and nobody else can collect it.
        self._before = accounting.holder(state)
        self._started = 0.0
        self._again_at: float | None = None
        self._ends_in_a_row = 0
        self._restarts = 0
        self._failure = ""

    def start(self) -> None:
        """The one that is there, of whichever master, retires when this one is ready. Does not raise."""
        self._again_at = None
        self._started = time.monotonic()
        environment = {name: value for name, value in os.environ.items() if name not in NOT_ITS}
        try:
            self._pid = os.posix_spawn(
                sys.executable,
                self._argv,
                environment,
                file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)],
                setsigmask=[],
                setsigdef=[signal.SIGPIPE],
            )
        except OSError as error:
            self._ended(f"it cannot be started: {error.strerror}")

    def look(self, now: float) -> None:
        """Called once a turn: collect it when it has ended, start it again when its time has come."""
        if self._before and _has_ended(self._before) is not None:
            self._before = 0
        if not self._before and self._deployment.changed():
            say("another database from now on: a new accountant")
            self._before, self._pid = self._pid, 0
            self.start()
        if self._pid and (code := _has_ended(self._pid)) is not None:
            self._pid = 0
            self._ended(f"killed by signal {-code}" if code < 0 else f"exit code {code}")
        if self._again_at is not None and now >= self._again_at:
            self._restarts += 1
            self.start()

    def _ended(self, why: str) -> None:
        now = time.monotonic()
        self._ends_in_a_row = 1 if now - self._started > STEADY_SECONDS else self._ends_in_a_row + 1
        wait = min(BACKOFF_FIRST * 2.0 ** (self._ends_in_a_row - 1), BACKOFF_MOST)
        self._again_at = now + wait
        self._failure = why
        say(f"the accountant ended ({why}); again in {wait:g} s", WARNING)

    def stop(self) -> None:
        """The last to go: the workers have left, and what they wrote is in their spools."""
        self._again_at = None
        for number, patience in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 1.0)):
            if not self._pid:
                return
            with suppress(ProcessLookupError):
                os.kill(self._pid, number)
            until = time.monotonic() + patience
            while self._pid and time.monotonic() < until:
                if _has_ended(self._pid) is not None:
                    self._pid = 0
                else:
                    time.sleep(0.01)

    def describe(self) -> messages.Accountant:
        return messages.Accountant(self._pid or None, self._restarts, self._failure)


def _has_ended(pid: int) -> int | None:
    """Collect a child that has ended: its exit code, None as long as it has not. Nobody's child is one that has."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return 0
    return os.waitstatus_to_exitcode(status) if ended else None
