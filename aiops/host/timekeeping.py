"""Whether the machine's clock can be trusted: certificates, keys with an end date, and logs depend on it."""

from __future__ import annotations

import time
from pathlib import Path

from aiops.host import process

# A file system cannot have been written to in the future; a minute is for machines that share one.
TOLERANCE_SECONDS = 60.0


def ahead_of_clock(*paths: Path) -> float:
    """By how many seconds the newest of these files is newer than now; 0 when none is."""
    newest = max((path.stat().st_mtime for path in paths if path.exists()), default=0.0)
    difference = newest - time.time()
    return difference if difference > TOLERANCE_SECONDS else 0.0


def synchronised() -> bool | None:
    """Whether something keeps the clock right; None when nobody here can tell (no timedatectl, a container)."""
    # Unlike systemctl it takes one name an option.
    done = process.run(["timedatectl", "show", "--property=NTP", "--property=NTPSynchronized"], 5.0)
    if not done.ok:
        return None
    facts = dict(line.split("=", 1) for line in done.out.splitlines() if "=" in line)
    if facts.get("NTPSynchronized") == "yes":
        return True
    # Synchronised by nobody and asked to be by nobody: a container has its host's clock.
    return False if facts.get("NTP") == "yes" else None
