"""What the accountant says: to journald where stderr leads there, to stderr elsewhere."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from aiops.gateway.shared import journald


def say(text: str, priority: int = journald.INFO) -> None:
    """One line."""
    line = f"accountant {os.getpid()}: {text}"
    if journald.is_stderr() and journald.send(line, priority, syslog_identifier="litellm"):
        return
    with suppress(OSError, ValueError):  # a full disk
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
