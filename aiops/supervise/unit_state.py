"""The gateway's units as systemd sees them, in the words of ``aiops status``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiops.host import systemd
from aiops.host.systemd import Systemd, Unit
from aiops.supervise.owner import CHECK, SERVICE, SOCKET, TIMER


@dataclass(frozen=True)
class Units:
    """``unreachable``: why systemd does not answer; everything else is empty then."""

    manager: Systemd
    unreachable: str
    service: Unit
    socket: Unit
    check: Unit
    lingers: bool

    def to_json(self) -> dict[str, Any]:
        return {
            "scope": self.manager.scope,
            "unit": SERVICE,
            "reachable": not self.unreachable,
            "state": f"{self.service.active} ({self.service.sub})",
            "enabled": self.service.enabled == "enabled",
            "socket": self.socket.active,
            "linger": self.lingers,
            "restarts": self.service.restarts,
            "reload_pending": self.service.needs_reload or self.socket.needs_reload,
            "status": self.service.status,
            "check": self._last_check(),
        }

    def line(self) -> str:
        """One line for people."""
        if self.unreachable:
            return f"systemd does not answer: {self.unreachable}"
        at_boot = self.service.enabled == "enabled" and (self.manager.scope == "system" or self.lingers)
        return (
            f"{SERVICE} is {self.service.active} ({self.service.sub}), "
            f"{'starts at boot' if at_boot else 'does not start at boot'}; last check: {self._last_check()}"
        )

    def gateway_state(self, seen: str) -> str:
        """What the gateway's own account means, given that systemd looks after it."""
        if seen == "stopped" and self.service.active == "failed":
            return "failed"
        if seen == "stopped" and self.service.active == "activating":
            return "starting"
        return seen

    def notes(self, seen: str) -> list[str]:
        """What a person should know, in sentences. ``seen``: the gateway's state by its own account."""
        found = []
        if self.unreachable:
            return [f"the user's systemd does not answer ({self.unreachable}): {systemd.how_to_reach()}"]
        if self.service.active == "failed":
            found.append(
                f"{SERVICE} has failed ({self.service.result}): `aiops logs` shows why, `aiops up` tries again"
            )
        if self.service.runs and not self.socket.runs:
            found.append(
                f"{SOCKET} is {self.socket.active} while the service runs: the gateway holds its port itself, and "
                "nobody does while it is stopped; `aiops down`, then `aiops up`, when that suits"
            )
        if seen == "stopped" and self.socket.active == "active":
            found.append(f"{SOCKET} holds the port: the next connection starts the gateway; `aiops down` stops both")
        if self.service.active == "active" and seen not in ("running", "starting", "degraded", "stopping"):
            found.append(f"{SERVICE} is active, but the gateway does not answer on its control socket")
        if self.check.result not in ("", "success"):
            found.append(f"the last check failed ({self.check.exited}): `aiops verify` shows what")
        return found

    def _last_check(self) -> str:
        if not self.check.exited:
            return "none yet"
        return f"{'passed' if self.check.result == 'success' else 'failed'}, {self.check.exited}"


def look_at(manager: Systemd) -> Units:
    """One question to systemd, about 10 ms."""
    names = (SERVICE, SOCKET, CHECK, TIMER)
    found = manager.units(*names)
    # Units that are not even "not-found" mean that nobody answered.
    unreachable = manager.why_not_ask() if all(not unit.load for unit in found.values()) else ""
    return Units(manager, unreachable, found[SERVICE], found[SOCKET], found[CHECK], systemd.lingers())
