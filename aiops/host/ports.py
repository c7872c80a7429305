"""Who listens on a port: from /proc, so that it needs no tool and no privilege for one's own processes."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from aiops.errors import Precondition
from aiops.host import privileges
from aiops.host.process import command_line, unit_of

LISTEN = "0A"  # TCP_LISTEN in /proc/net/tcp, proc(5)


@dataclass(frozen=True)
class Owner:
    """A listening process. ``pid`` is None when it belongs to somebody whose processes we may not look at.

    ``unit``: the systemd unit it belongs to; empty when it is in none.
    """

    pid: int | None
    command: str
    unit: str = ""

    def __str__(self) -> str:
        if self.pid is None:
            return "a process of another user"
        return f"pid {self.pid} ({self.command[:80]})" + (f" of {self.unit}" if self.unit.endswith(".service") else "")


def owners(port: int, apart_from: Collection[int] = ()) -> list[Owner]:
    """Processes that listen on ``port``, on any address. Empty when nobody does.

    ``apart_from``: pids that do not count, and with them whoever holds the very same socket: a service manager
    that passed it to them, or their workers.
    """
    inodes = _listening_inodes(port)
    with privileges.as_root():
        return _owners(inodes, apart_from)


def _owners(inodes: set[str], apart_from: Collection[int]) -> list[Owner]:
    for pid in apart_from:
        inodes = inodes - _socket_inodes(pid)
    if not inodes:
        return []
    found = [Owner(pid, command_line(pid), unit_of(pid)) for pid in _pids() if inodes & _socket_inodes(pid)]
    return found or [Owner(None, "")]


def can_bind(host: str, port: int) -> bool:
    """Whether the address is free right now."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError:
            return False
    return True


def same(one: str | None, other: str, port: int) -> bool:
    """Whether two names mean the same address."""
    try:
        found = [socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)[0][4] for name in (one, other)]
    except OSError:
        return False
    return found[0] == found[1]


def require_free(host: str, port: int, ours: Collection[int] = ()) -> None:
    """Raises Precondition naming whoever has the address; the processes ``ours`` may have it."""
    if can_bind(host, port):
        return
    strangers = owners(port, apart_from=ours)
    if ours and not strangers:
        return
    named = ", ".join(map(str, strangers)) or "somebody"
    raise Precondition(f"port {port} is taken by {named}", "stop it, or set another `gateway.port` in aiops.yaml")


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(fields[9])
    return inodes


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208


def _socket_inodes(pid: int) -> set[str]:
    found = set()
    try:
        for descriptor in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208
            target = os.readlink(f"/proc/{pid}/fd/{descriptor}")  # noqa: PTH115
            if target.startswith("socket:["):
                found.add(target[8:-1])
    except OSError:
        pass
    return found
