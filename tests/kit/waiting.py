"""Waiting for something to become true, and ports that nobody listens on."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(holds: Callable[[], Any], seconds: float = 10.0, what: str = "it") -> Any:
    """Wait until ``holds()`` is true and return what it returned."""
    began = time.monotonic()
    while not (value := holds()):
        waited = time.monotonic() - began
        assert waited < seconds, f"{what} did not come true within {seconds:g} s"
        # Asking is often a whole command line: what takes long is not made longer by being asked for all the time.
        time.sleep(min(max(0.01, waited / 20), 0.2))
    return value
