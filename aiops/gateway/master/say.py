"""What the master says: to journald with fields where stderr leads there, to stderr elsewhere."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from aiops.gateway.shared import journald


def say(text: str, priority: int = journald.INFO, /, **fields: object) -> None:
    """One line. ``fields`` (generation, verb, provider) are searchable in the journal."""
    line = f"master {os.getpid()}: {text}"
    labelled = {f"aiops_{name}": value for name, value in fields.items()}
    if journald.is_stderr() and journald.send(line, priority, **labelled, syslog_identifier="litellm"):
        return
    # Losing the log is not a reason to stop serving: journald may be gone, the disk full, or another line half written
    # (RuntimeError) when a turn comes in between.
    with suppress(OSError, ValueError, RuntimeError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
