"""The accountant of a gateway, asked from outside: have the spools written to the ledger."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from aiops.gateway.shared import accounting

SECONDS = 10.0


def ingest(run: Path) -> bool:
    """Whether all that is in the spools is in the ledger now; False when there is no accountant, or it cannot."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(SECONDS)
            connection.connect(str(run / accounting.SOCKET))
            connection.sendall(json.dumps({"id": 1, **accounting.Ingest().plain()}).encode() + b"\n")
            with connection.makefile("rb") as lines:
                for line in lines:
                    data = json.loads(line)
                    if data.get("id") == 1:
                        return isinstance(accounting.said(data), accounting.Done)
    except (OSError, ValueError):
        return False
    return False
