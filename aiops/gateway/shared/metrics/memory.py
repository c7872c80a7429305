"""The numbers of one process, in a file that is mapped into its memory: what one that is killed has counted stays.

    <state>/metrics/4711.8812345.9f3c1a2b.numbers    of the process 4711 that started at 8812345

In a PID namespace of its own it is called ``4711.8812345@4026532001``. While it lives it holds a lock on the file.

The length of a header, the header (JSON: the series in order, and which families are gauges), then a number of eight
bytes for each of them. Only its owner writes, without a lock: the machine writes eight aligned bytes in one piece.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import secrets
import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from aiops.gateway.shared.metrics.series import OF_PROCESSES, Family, Key

DIRECTORY: Final = "metrics"
SUFFIX: Final = ".numbers"
LENGTH: Final = struct.Struct("<q")


class Memory:
    """``process``: what tells it from every other (pid and start, and the PID namespace that is its own). ``say`` hears
    of a disk that takes no file: then it is counted, and nobody can read it. To be made after the fork."""

    def __init__(
        self, state: Path, process: str, say: Callable[[str], None], families: Sequence[Family] = OF_PROCESSES
    ) -> None:
        keys = [key for family in families for key in family.every()]
        header = json.dumps({"series": keys, "gauges": [each.name for each in families if each.kind == "gauge"]})
        head = header.encode().ljust(-(-len(header) // 8) * 8)
        size = LENGTH.size + len(head) + 8 * len(keys)
        try:
            mapped, self._held = _file(state / DIRECTORY, process, size)
        except OSError as error:
            say(f"what this process counts is not in /metrics: {state / DIRECTORY}: {error.strerror}")
            mapped = mmap.mmap(-1, size)
        mapped[LENGTH.size : LENGTH.size + len(head)] = head
        mapped[: LENGTH.size] = LENGTH.pack(len(head))  # last: until then it is nobody's
        first = (LENGTH.size + len(head)) // 8
        self._numbers = memoryview(mapped).cast("q")
        self.places: Mapping[Key, int] = {key: first + index for index, key in enumerate(keys)}

    def add(self, place: int, many: int = 1) -> None:
        self._numbers[place] += many

    def put(self, place: int, number: int) -> None:
        self._numbers[place] = number

    def get(self, place: int) -> int:
        return self._numbers[place]


def _file(directory: Path, process: str, size: int) -> tuple[mmap.mmap, int]:
    """And the descriptor that holds the lock. Raises OSError."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Not by the process alone: another boot may have had the same.
    path = directory / f"{process}.{secrets.token_hex(4)}{SUFFIX}"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size)  # a write into a map on a full disk kills the writer
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return mmap.mmap(descriptor, size), descriptor
    except OSError:
        path.unlink(missing_ok=True)
        os.close(descriptor)
        raise
