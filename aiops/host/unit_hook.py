"""``python -m aiops.host.unit_hook``: what litellm.service runs around a stop, as ExecStop= and ExecStopPost=.

systemd has one way to stop a service; the gateway has two. Before a *restart* the master leaves its workers: they
serve on until the next master takes their connections over. At a *stop* everything finishes and nothing stays.
Which of them it is says the job that systemd has queued for the unit. When that cannot be learned it is a stop.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from aiops.errors import AiopsError
from aiops.gateway.shared.messages import Leave, Look
from aiops.host import master, process
from aiops.host.systemd import Systemd

UNIT = "litellm.service"
RESTARTS = ("restart", "try-restart", "reload-or-start")
LEAVE_SECONDS = 10.0
CGROUPS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup/systemd"))
# systemd.exec(5), $SERVICE_RESULT: ends that systemd asked for. Any other is a crash, and a new master follows.
ASKED_FOR = ("success", "timeout")


def main() -> int:
    parser = argparse.ArgumentParser(prog="aiops.host.unit_hook")
    parser.add_argument("--scope", choices=("user", "system"), required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--within", type=float, required=True)
    parser.add_argument("moment", choices=("stop", "stopped"))
    given = parser.parse_args()
    restarting = Systemd(given.scope).job(UNIT) in RESTARTS
    if given.moment == "stop" and restarting:
        leave(given.run)  # where it does not, SIGTERM follows
    elif given.moment == "stopped" and leaves_nothing(restarting, os.environ.get("SERVICE_RESULT", "success")):
        # Those that finish streams of an earlier generation or master: they were told to, and get the same time.
        process.end(neighbours(), given.within)
    return 0


def leaves_nothing(restarting: bool, result: str) -> bool:
    """Whether workers that are left have to go: not when a new master follows, by a restart or after a crash."""
    return not restarting and result in ASKED_FOR


def leave(run: Path) -> str:
    """Let the master go without its workers. Why it does not; empty when it went."""
    try:
        with master.Session(run, timeout=5.0) as session:
            pid = session.call(Look()).pid
            session.call(Leave())
    except AiopsError as error:
        return error.message
    deadline = time.monotonic() + LEAVE_SECONDS
    while pid is not None and process.is_alive(pid):
        if time.monotonic() > deadline:
            return f"process {pid} is still there after {LEAVE_SECONDS:g} s"
        time.sleep(0.01)
    return ""


def neighbours() -> list[int]:
    """Every other process of the control group this one is in."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        group = line.split(":", 2)[2].lstrip("/")
        for root in CGROUPS:
            with suppress(OSError):
                pids = (root / group / "cgroup.procs").read_text().split()
                return [int(pid) for pid in pids if int(pid) not in (os.getpid(), os.getppid(), 0)]
    return []


if __name__ == "__main__":
    sys.exit(main())
