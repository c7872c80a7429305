"""Where the lab keeps things on this machine, and the locks that keep two labs apart."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
# Layers and wheels, about 1.5 GB, kept between runs; and the disks of hosts. Not on an overlay: a disk is one itself.
CACHE = Path(os.environ.get("AIOPS_LAB_CACHE", "/var/cache/aiops-lab"))
# What lives as long as a lab: locks, sockets, the ssh configuration, consoles. Short, for the sake of socket paths.
RUN = Path("/run/aiops-lab")
# Disks of hosts that end with their tests: where a file system discards what is freed, removing one takes minutes.
MEMORY = Path("/dev/shm/aiops-lab")
_ROOM = 6 << 30  # bytes; two workers, each with the largest disk there is, fill half of it


def name_for(purpose: str) -> str:
    """A lab name of its own for each checkout: the same each time, for a lab that outlives the process."""
    return f"{purpose}{zlib.crc32(str(CHECKOUT).encode()) & 0xFFFF:04x}"


def own_name(purpose: str) -> str:
    """A lab name of its own for this process, so that tests can run several times at once on one machine."""
    return f"{purpose}{os.getpid():x}"


def memory_has_room() -> bool:
    """Whether disks can be kept in memory: on the file system that is there for it, and beside all that runs."""
    if not MEMORY.parent.is_mount() or shutil.disk_usage(MEMORY.parent).free < _ROOM:
        return False
    available = re.search(r"^MemAvailable: +(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return available is not None and int(available.group(1)) << 10 >= _ROOM


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
