"""Where the lab keeps things on this machine, and the locks that keep two labs apart."""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
# Layers and wheels, about 1.5 GB, kept between runs; and the disks of hosts. Not on an overlay: a disk is one itself.
CACHE = Path(os.environ.get("AIOPS_LAB_CACHE", "/var/cache/aiops-lab"))
# What lives as long as a lab: locks, sockets, the ssh configuration, consoles. Short, for the sake of socket paths.
RUN = Path("/run/aiops-lab")


def name_for(purpose: str) -> str:
    """A lab name of its own for each checkout: the same each time, for a lab that outlives the process."""
    return f"{purpose}{zlib.crc32(str(CHECKOUT).encode()) & 0xFFFF:04x}"


def own_name(purpose: str) -> str:
    """A lab name of its own for this process, so that tests can run several times at once on one machine."""
    return f"{purpose}{os.getpid():x}"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the flock on ``path``; wait for whoever has it. It is never inherited and dies with the process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def try_lock(path: Path) -> int | None:
    """The file descriptor that holds the flock on ``path``; None when another process has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle
