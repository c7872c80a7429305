"""Which start of the machine this is: what was not on the disk before it may be lost."""

from __future__ import annotations

import time
from pathlib import Path

_ID = Path("/proc/sys/kernel/random/boot_id")
_ABOUT = "~"
_TOLERANCE = 120  # seconds by which a clock may be set without being another boot


def boot() -> str:
    """Its id; where it is hidden (``ProcSubset=pid`` of a hardened unit) the second it was at, as ``~1793491200``."""
    try:
        return _ID.read_text().strip()
    except OSError:
        return f"{_ABOUT}{int(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME))}"


def is_now(noted: str) -> bool:
    """Whether it was noted since the machine was started."""
    now = boot()
    if noted.startswith(_ABOUT) and now.startswith(_ABOUT):
        return noted[1:].isdigit() and abs(int(noted[1:]) - int(now[1:])) <= _TOLERANCE
    return noted == now
