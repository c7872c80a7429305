"""The real command line, with one fault: ``python -m tests.faults.runner FAULT MARK -- ARGUMENTS``.

The change loop knows nothing of this: the steps of a transaction are wrapped from outside. ``FAULT`` is JSON
(see ``harness.Fault``). What was done is written into the file ``MARK`` before it is done.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiops import cli
from aiops.actions.instance import held
from aiops.apply.transaction import ACTS, Transaction
from aiops.gateway.shared import protocol
from aiops.host import master, process

CANDIDATES = (protocol.CANDIDATE, protocol.PROVISIONAL)
SERVING = (protocol.SERVING, protocol.STANDBY)


class Faults:
    """Everything that may happen to a change. Each method is an ``act``; False: there was nobody to do it to."""

    def __init__(self, home: Path, mark: Path) -> None:
        self._home = home
        self._run = home / "run"
        self._mark = mark

    def do(self, act: str, session: master.Session) -> None:
        self._mark.write_text(act)
        if getattr(self, act.replace("-", "_"))(session) is False:
            self._mark.write_text("nobody")

    def kill_cli(self, _: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def hang_up(self, _: Any) -> None:
        """What a dropped SSH session does."""
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGHUP)

    def press_ctrl_c(self, _: Any) -> None:
        raise KeyboardInterrupt

    def kill_master(self, _: Any) -> None:
        self._kill([int((self._run / protocol.PID_FILE).read_text())])

    def kill_candidate(self, _: Any) -> bool:
        return self._kill(self._workers(CANDIDATES))

    def kill_worker(self, _: Any) -> bool:
        return self._kill(self._workers(SERVING))

    def close_session(self, session: master.Session) -> None:
        session._sock.shutdown(socket.SHUT_RDWR)

    def fill_disk(self, _: Any) -> None:
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError), (self._home / "filler").open("ab", buffering=0) as file:
                while True:
                    file.write(b"x" * size)

    def fill_disk_and_close_session(self, session: master.Session) -> None:
        self.fill_disk(session)
        self.close_session(session)

    def make_read_only(self, _: Any) -> None:
        # A mount of its own: files that are open already stay writable, as on a disk that fails.
        subprocess.run(["mount", "--bind", self._home, self._home], check=True)
        subprocess.run(["mount", "-o", "remount,ro,bind", self._home], check=True)

    def edit_source(self, _: Any) -> None:
        with (self._home / "config" / "providers.yaml").open("a") as file:
            file.write("# written by hand\n")

    def wait(self, _: Any) -> None:
        time.sleep(float(os.environ["FAULT_SECONDS"]))

    def _workers(self, roles: tuple[str, ...]) -> list[int]:
        groups = status.groups if (status := master.status(self._run)) else ()
        return [worker.pid for group in groups if group.role in roles for worker in group.workers]

    @staticmethod
    def _kill(pids: list[int]) -> bool:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        # With threads it is a zombie for a moment before its parent can collect it.
        while any(process.is_alive(pid) or _threads(pid) > 1 for pid in pids):
            time.sleep(0.002)
        time.sleep(0.05)
        return bool(pids)


def _threads(pid: int) -> int:
    try:
        return len(list(Path(f"/proc/{pid}/task").iterdir()))
    except FileNotFoundError:
        return 0


def wrap(step: str, when: str, act: Callable[[master.Session], None]) -> None:
    """``before``: the step is noted in the journal, nothing of it is done. ``after``: all of it is."""
    original = ACTS[step]

    def wrapped(self: Transaction, session: master.Session) -> None:
        if when == "before":
            act(session)
        original(self, session)
        if when == "after":
            act(session)

    ACTS[step] = wrapped


def die_at_write(number: int, home: Path, mark: Path) -> None:
    """SIGKILL before the n-th rename, removal or link below the home: every point at which the disk changes state."""
    seen = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event not in ("os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink"):
            return
        if not any(isinstance(each, str | os.PathLike) and os.fspath(each).startswith(str(home)) for each in arguments):
            return
        seen += 1
        if seen == number:
            mark.write_text(f"{event} {arguments[0]} {arguments[1]}")
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def fail_writes(code: int, after: int) -> None:
    """Every fsync from the n-th on fails, as on a disk that breaks down."""
    real, seen = os.fsync, 0

    def fsync(descriptor: int) -> None:
        nonlocal seen
        seen += 1
        if seen >= after:
            raise OSError(code, os.strerror(code))
        real(descriptor)

    os.fsync = fsync  # type: ignore[assignment]


def main() -> int:
    fault, mark, _, *arguments = sys.argv[1:]
    asked: dict[str, Any] = json.loads(fault)
    home = Path(arguments[arguments.index("--home") + 1])
    faults = Faults(home, Path(mark))
    if "write" in asked:
        die_at_write(int(asked["write"]), home, Path(mark))
    elif "fsync" in asked:
        fail_writes(errno.EIO, int(asked["fsync"]))
    elif "step" in asked:
        wrap(asked["step"], asked["when"], lambda session: faults.do(asked["act"], session))
    if "patience" in asked:
        from aiops.actions.service import run

        held.LOCK_PATIENCE_SECONDS = run.LOCK_PATIENCE_SECONDS = float(asked["patience"])
    return cli.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
