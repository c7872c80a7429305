"""The one place that starts other programs."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

# Inherited by a long-lived process these would change what it is; the gateway sets what it needs by itself.
NOT_FOR_SERVICES = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONSTARTUP", "LD_PRELOAD")


def start_detached(argv: Sequence[str], log: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a service that outlives this process: own session, no terminal, output appended to ``log``.

    Raises OSError.
    """
    clean = {name: value for name, value in environment.items() if name not in NOT_FOR_SERVICES}
    with log.open("ab") as output:
        os.fchmod(output.fileno(), 0o600)
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=clean,
            cwd="/",
            start_new_session=True,
            close_fds=True,
        )


def start_time(pid: int) -> int | None:
    """Clock ticks since boot at which ``pid`` started (proc(5), field 22); tells a process from a later namesake."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return None


def is_alive(pid: int) -> bool:
    """Running, and not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


def command_line(pid: int) -> str:
    """The program with its arguments; empty when it is gone or not ours to see."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def end(pids: Sequence[int], patience: float) -> None:
    """Ask these processes to leave (SIGTERM), wait ``patience`` seconds, then make them (SIGKILL)."""
    for number, wait in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
        left = [pid for pid in pids if is_alive(pid)]
        for pid in left:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + wait
        while any(is_alive(pid) for pid in left) and time.monotonic() < deadline:
            time.sleep(0.02)
