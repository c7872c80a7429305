"""Lines with fields for journald, in its native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): one datagram each.

``journalctl AIOPS_GENERATION=7`` then finds everything about one generation. Where there is no journald, callers
write the same text to stderr. Shared with the command line: it imports nothing of aiops.
"""

from __future__ import annotations

import os
import socket
import struct
import sys

SOCKET = "/run/systemd/journal/socket"
INFO, WARNING = 6, 4  # syslog(3)


def is_stderr() -> bool:
    """Whether stderr leads to the journal: ``JOURNAL_STREAM`` is its device and inode, systemd.exec(5)."""
    try:
        at = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{at.st_dev}:{at.st_ino}"


def send(message: str, priority: int = INFO, path: str = SOCKET, /, **fields: object) -> bool:
    """Log one line; ``fields`` with an empty value are left out. False when journald did not take it."""
    entries = {"MESSAGE": message, "PRIORITY": str(priority)}
    entries |= {name.upper(): str(value) for name, value in fields.items() if value not in (None, "")}
    data = b"".join(_field(name.encode(), value.encode()) for name, value in entries.items())
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            # A stalled journald must not stall the gateway.
            sock.setblocking(False)
            sock.connect(path)
            sock.send(data)
    except OSError:
        return False
    return True


def _field(name: bytes, value: bytes) -> bytes:
    if b"\n" not in value:
        return name + b"=" + value + b"\n"
    return name + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"
