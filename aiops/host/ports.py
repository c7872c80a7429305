"""Who listens on a port: from /proc, so that it needs no tool and no privilege for one's own processes."""

from __future__ import annotations

import errno
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
    return _why_not(host, port) is None


def _why_not(host: str, port: int) -> OSError | None:
    """Why nobody of this user can listen there now; None when somebody can."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        return error
    return None


def same(one: str | None, other: str, port: int) -> bool:
    """Whether two names mean the same address."""
    try:
        found = [socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)[0][4] for name in (one, other)]
    except OSError:
        return False
    return found[0] == found[1]


def require_free(host: str, port: int, ours: Collection[int] = (), prefix: str = "") -> None:
    """Raises Precondition naming whoever has the address, or what else is wrong with it; ``ours`` may have it.

    ``prefix``: of the keys of aiops.yaml that say where it is.
    """
    error = _why_not(host, port)
    if error is None:
        return
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        raise Precondition(
            f"`gateway.{prefix}host` {host} is no address of this machine: {error.strerror}",
            f"set another `gateway.{prefix}host` in aiops.yaml: 127.0.0.1 for this machine alone, 0.0.0.0 for"
            " everybody",
        )
    if error.errno == errno.EACCES:
        raise Precondition(
            f"this user may not listen on port {port}", f"set a `gateway.{prefix}port` of 1024 or above in aiops.yaml"
        )
    strangers = owners(port, apart_from=ours)
    if ours and not strangers:
        return
    named = ", ".join(map(str, strangers)) or "somebody"
    raise Precondition(
        f"port {port} is taken by {named}", f"stop it, or set another `gateway.{prefix}port` in aiops.yaml"
    )


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


def url_of(host: str, port: int) -> str:
    """Where this machine reaches a gateway that listens on ``host``."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(host, host)  # noqa: S104
    return f"http://{f'[{reachable}]' if ':' in reachable and not reachable.startswith('[') else reachable}:{port}"
