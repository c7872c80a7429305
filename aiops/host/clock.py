"""The clock, as one function, so that nothing pure ever reads it."""

from __future__ import annotations

import datetime
import getpass
import os
import socket


def now() -> str:
    """UTC, ISO 8601, to the millisecond. For people to read: order and deadlines never depend on it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def who() -> str:
    """``user@host``; the user behind sudo, if any."""
    try:
        user = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
