"""Waiting for something to become true, and ports that nobody listens on."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle
from typing import Any

# Below those that the kernel gives to whoever asks for any: it would give a port that was found free here to the next
# who asks, and to a connection, before a server of ours has it. Each process begins somewhere else.
_PORTS = range(12_000, 32_000)
_next = cycle(_PORTS)
for _ in range(random.SystemRandom().randrange(len(_PORTS))):
    next(_next)


def free_port() -> int:
    while True:
        port = next(_next)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
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
