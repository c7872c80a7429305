"""The child that finds out what a worker imports: it is nobody's gateway, and must not be taken for one."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from aiops.gateway.master import scout
from aiops.gateway.master.events import Events


def test_it_holds_no_socket_of_its_master_and_leaves_the_signals_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a master that is told to stop meanwhile seems to run on, and its port is taken."""
    listener = socket.create_server(("127.0.0.1", 0))
    events, found = Events(), tmp_path / "found"
    before = signal.getsignal(signal.SIGTERM)
    events.catch(signal.SIGTERM)

    theirs = str(Path(f"/proc/self/fd/{listener.fileno()}").readlink())

    async def look(_: Path) -> None:
        ends = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        found.write_text(f"{theirs in _held().values()} {ends}")

    monkeypatch.setattr(scout, "_serve_once", look)
    try:
        scout.scout()
    finally:
        listener.close()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, before)
    assert found.read_text() == "False True"


def test_a_worker_that_a_turn_forks_meanwhile_does_not_keep_its_pipe_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the master waits for the end of a pipe for as long as that worker lives."""

    async def nothing(_: Path) -> None:
        return

    def pipes() -> set[str]:
        return {number for number, what in _held().items() if what.startswith("pipe:")}

    def fork() -> int:
        pid = real()
        if pid:
            signal.raise_signal(signal.SIGALRM)
        return pid

    real, known, new = os.fork, pipes(), []
    before = signal.signal(signal.SIGALRM, lambda *_: new.append(len(pipes() - known)))
    monkeypatch.setattr(scout, "_serve_once", nothing)
    monkeypatch.setattr(os, "fork", fork)
    try:
        scout.scout()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert new == [1], "of both ends only the one that is read"
    assert signal.SIGALRM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def _held() -> dict[str, str]:
    """The descriptors of this process, and what each is."""
    paths = list(Path("/proc/self/fd").iterdir())
    return {path.name: str(path.readlink()) for path in paths if path.is_symlink()}
