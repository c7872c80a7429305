"""Whether whoever writes a spool, or counts for `/metrics`, lives: it holds a lock on the file, which the kernel takes
back when it dies.

A process id alone says nothing where containers share a state directory and not their processes: there the living of
another one look as if they were dead, and two of them may have the same id.
"""

from __future__ import annotations

import fcntl
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"(\d+)\.(\d+)(?:@(\d+))?")
_FIRST_NAMESPACE: Final = 0xEFFFFFFC  # PROC_PID_INIT_INO in the kernel's proc_ns.h: that of the machine itself


def birth(pid: int | str) -> int:
    """When it started, in clock ticks since the boot (proc_pid_stat(5), field 22); -1 when it is no more. ``pid``: or
    ``self``."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return -1
    return -1 if fields[0] in (b"Z", b"X") else int(fields[19])


def namespace() -> int:
    """In which this process has its id (pid_namespaces(7)): 0 in the machine's own, else the number of its inode."""
    try:
        inode = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return 0
    return 0 if inode == _FIRST_NAMESPACE else inode


def this_process() -> str:
    """What tells this process from every other that ever uses the same state directory: ``4711.8812345``, and in a PID
    namespace of its own ``4711.8812345@4026532001``."""
    where = namespace()
    return f"{os.getpid()}.{birth('self')}{f'@{where}' if where else ''}"


def lives(path: Path, process: str) -> bool:
    """Whether the process of this name, which writes this file, may go on doing so. Raises OSError."""
    found = _NAME.fullmatch(process)
    pid, born, where = (int(word or 0) for word in found.groups()) if found is not None else (0, 0, 0)
    # In this namespace it is seen, also when it is of an aiops that locks nothing.
    return (where == namespace() and birth(pid) == born) or is_held(path)


def hold(descriptor: int) -> None:
    """Lock a file that is written for as long as it is open. A file system without locks goes without."""
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_held(path: Path) -> bool:
    """Whether somebody has it open to write; False when it is not there. Raises OSError for one that cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
