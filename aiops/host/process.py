"""The one place that starts other programs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

# Inherited by a long-lived process these would change what it is; the gateway sets what it needs by itself.
NOT_FOR_SERVICES = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONSTARTUP", "LD_PRELOAD")
NO_PROGRAM = 127  # as shells say it
_SECONDS_TO_UNDO = 30.0


@dataclass(frozen=True)
class Done:
    """How a program ended. ``code`` is 127 when there is no such program, 124 when it took too long."""

    code: int
    out: str
    err: str

    @property
    def ok(self) -> bool:
        return self.code == 0

    @property
    def reason(self) -> str:
        """The last thing it complained about, as one line."""
        lines = [line.strip() for line in (self.err or self.out).splitlines() if line.strip()]
        return lines[-1] if lines else f"exit code {self.code}"


def run(
    argv: Sequence[str],
    timeout: float,
    environment: Mapping[str, str] | None = None,
    *,
    unless: threading.Event | None = None,
) -> Done:
    """Run a program to its end, at most ``timeout`` seconds. Never raises: what went wrong is in the answer.

    ``unless``: when that happens it is asked to end, and waited for once more. It has a session of its own, so that
    a Ctrl-C at the terminal reaches it by that way alone.
    """
    try:
        child = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=environment,
            start_new_session=unless is not None,
            user=_for_good(os.geteuid(), os.getuid()),
            group=_for_good(os.getegid(), os.getgid()),
        )
        with child:
            try:
                out, err = _communicated(child, timeout, unless)
            except BaseException:
                child.kill()
                raise
    except FileNotFoundError:
        return Done(NO_PROGRAM, "", f"there is no program {argv[0]}")
    except subprocess.TimeoutExpired:
        return Done(124, "", f"{argv[0]} did not answer within {timeout:g} s")
    except OSError as error:
        return Done(126, "", f"{argv[0]}: {error.strerror}")
    return Done(child.returncode, out, err)


def _communicated(child: subprocess.Popen[str], timeout: float, unless: threading.Event | None) -> tuple[str, str]:
    if unless is None:
        return child.communicate(timeout=timeout)
    deadline = time.monotonic() + timeout
    while True:
        with suppress(subprocess.TimeoutExpired):
            return child.communicate(timeout=0.1)
        if unless.is_set():
            child.terminate()
            return child.communicate(timeout=_SECONDS_TO_UNDO)
        if time.monotonic() > deadline:
            raise subprocess.TimeoutExpired(child.args, timeout)


def lines(argv: Sequence[str], environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """What a program prints, line by line, as long as it runs. It is ended when the caller stops listening."""
    child = subprocess.Popen(
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
    )
    return _said_by(child)


def _said_by(child: subprocess.Popen[str]) -> Iterator[str]:
    assert child.stdout is not None
    try:
        for line in child.stdout:
            yield line.rstrip("\n")
    finally:
        with suppress(ProcessLookupError):
            child.terminate()
        child.wait()


@contextmanager
def attached(argv: Sequence[str], ends_with: int) -> Iterator[subprocess.Popen[bytes]]:
    """A program that says what it says where this one does, and is sent ``ends_with`` when it is no longer wanted."""
    child = subprocess.Popen(list(argv), stdin=subprocess.DEVNULL)
    try:
        yield child
    finally:
        with suppress(ProcessLookupError):
            child.send_signal(ends_with)
        child.wait()


def interactive(argv: Sequence[str], *, quiet: bool) -> int:
    """Hand the terminal to a program until it ends; returns its exit code, ``NO_PROGRAM`` when there is none.

    Ctrl-C is the program's. ``quiet``: what it prints goes to stderr.
    """
    try:
        child = subprocess.Popen(
            list(argv),
            stdout=sys.stderr if quiet else None,
            user=_for_good(os.geteuid(), os.getuid()),
            group=_for_good(os.getegid(), os.getgid()),
        )
    except OSError:
        return NO_PROGRAM
    while True:
        with suppress(KeyboardInterrupt):
            return child.wait()


Child = subprocess.Popen[bytes]


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
            user=_for_good(os.geteuid(), os.getuid()),
            group=_for_good(os.getegid(), os.getgid()),
        )


def _for_good(effective: int, real: int) -> int | None:
    """Root at work on somebody's instance must not start a program that could become root again, setreuid(2)."""
    return effective if effective != real else None


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


def unit_of(pid: int) -> str:
    """The systemd unit a process belongs to, by its control group; empty when it is in none."""
    try:
        groups = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return ""
    for line in groups:
        for part in reversed(line.split(":", 2)[2].split("/")):
            if part.endswith((".service", ".scope")):
                return part
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


Say = Callable[[str], None]


Update = Callable[[float, float, str], None]  # done, total, note: for a progress bar; seconds
