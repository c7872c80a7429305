"""What the gateway tells systemd about itself: sd_notify(3), spoken over the datagram socket in ``NOTIFY_SOCKET``.

Without such a socket every call does nothing, so the master need not know who started it.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping
from contextlib import suppress

from aiops.gateway.shared.messages import Status

# While the first generation loads, systemd is told again and again to wait this much longer.
PATIENCE_SECONDS = 30.0


class Notifier:
    """Takes its variables out of the environment: no child may speak in the master's name."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        self._address = environment.pop("NOTIFY_SOCKET", "")
        period = environment.pop("WATCHDOG_USEC", "0")
        # WATCHDOG_PID names whom the watchdog is meant for; a process started by that one would inherit it.
        mine = environment.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._pulse = int(period) / 2e6 if mine and period.isdigit() else 0.0
        self._next_pulse = 0.0
        self._state = ""
        self._status = ""
        self._next_extension = 0.0

    @property
    def enabled(self) -> bool:
        return bool(self._address)

    def tell(self, state: str, status: str, now: float) -> None:
        """``state``: starting, ready, reloading or stopping. Says what is new, and that the loop still turns.

        ``now`` is ``time.monotonic()``, the clock that systemd compares RELOADING with.
        """
        if not self._address:
            return
        lines = []
        if state != self._state:
            if state == "ready":
                lines.append("READY=1")
            elif state == "reloading":
                lines += ["RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"]
            elif state == "stopping":
                lines.append("STOPPING=1")
            self._state = state
        if state == "starting" and now >= self._next_extension:
            self._next_extension = now + PATIENCE_SECONDS / 3
            lines.append(f"EXTEND_TIMEOUT_USEC={int(PATIENCE_SECONDS * 1e6)}")
        if status != self._status:
            self._status = status
            lines.append(f"STATUS={status}")
        if self._pulse and now >= self._next_pulse:
            self._next_pulse = now + self._pulse
            lines.append("WATCHDOG=1")
        if lines:
            self._send("\n".join(lines))

    def allow(self, period: int) -> None:
        """Change the period of the watchdog, in microseconds, until told otherwise."""
        if self._address:
            self._send(f"WATCHDOG=1\nWATCHDOG_USEC={period}")

    @property
    def patience(self) -> float:
        """The longest the loop may sleep, in seconds, without missing a watchdog; infinite without one."""
        return self._pulse / 2 if self._pulse else float("inf")

    def _send(self, text: str) -> None:
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        # A manager that is gone or being re-executed is no reason to stop serving.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.settimeout(1.0)
            sock.connect(address)
            sock.send(text.encode())


def condition(status: Status, settled: bool, leaves: bool) -> tuple[str, str]:
    """The state of the service in systemd's words, and one line for ``systemctl status``, from the master's own status.

    ``settled``: the boot is over, well or not; only then is a change a reload. ``leaves``: without its workers.
    """
    change, failed = status.change, status.last_revert
    if leaves:
        return "stopping", "the workers serve on"
    if status.state == "stopping":
        return "stopping", "open requests are finishing"
    if change:
        return "reloading" if settled else "starting", f"generation {change.generation} is {change.phase}"
    if status.generation is not None:
        return "ready", f"generation {status.generation} serves{_how(status)}"
    return "ready", failed.reason if failed else "no generation yet: `aiops up` makes the first"


def _how(status: Status) -> str:
    if status.loads:
        return " directly, LiteLLM is being loaded"
    return f" directly, without LiteLLM: {status.without}" if status.without else ""
