"""Public listening sockets: one per address, shared by every generation that uses it."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterable, MutableMapping

from aiops.gateway.master.control_socket import Refused
from aiops.gateway.worker.connections import ADMIN_LISTENER, LISTENER, ask_for_listener
from aiops.gateway.worker.settings import Settings

FIRST_PASSED = 3  # SD_LISTEN_FDS_START, sd_listen_fds(3)
BACKLOG = 2048  # connections the kernel holds while no worker accepts, e.g. during a switch


class Listeners:
    def __init__(self) -> None:
        self._open: dict[tuple[str, int], socket.socket] = {}

    def get(self, host: str, port: int) -> socket.socket:
        """The socket for an address, bound on first use. Raises OSError when the address is not to be had."""
        family, _, _, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        address = (str(target[0]), int(target[1]))
        if address not in self._open:
            self._open[address] = _bind(family, address)
        return self._open[address]

    def of(self, settings: Settings) -> tuple[socket.socket, socket.socket | None]:
        """Where a generation listens: the public socket, and that of the management API. Raises Refused, and then has
        opened nothing."""
        before = set(self._open)
        found: list[socket.socket] = []
        for host, port in ((settings.host, settings.port), *([settings.admin] if settings.admin else ())):
            try:
                found.append(self.get(host, port))
            except OSError as error:
                for address in self._open.keys() - before:
                    self._open.pop(address).close()
                raise Refused(f"cannot listen on {host}:{port}: {error.strerror}") from error
        return found[0], found[1] if settings.admin else None

    def adopt_passed(self, environment: MutableMapping[str, str]) -> int:
        """Take the sockets a service manager passed to this very process, sd_listen_fds(3). Returns how many.

        The variables are removed, whoever they were meant for: no child may take a descriptor for its own.
        """
        meant_for, count = environment.pop("LISTEN_PID", ""), environment.pop("LISTEN_FDS", "")
        environment.pop("LISTEN_FDNAMES", None)
        if meant_for != str(os.getpid()) or not count.isdigit():
            return 0
        for descriptor in range(FIRST_PASSED, FIRST_PASSED + int(count)):
            os.set_inheritable(descriptor, False)
            sock = socket.socket(fileno=descriptor)
            sock.setblocking(False)
            host, port = sock.getsockname()[:2]
            self._open[str(host), int(port)] = sock
        return int(count)

    def inherit(self, exchanges: Iterable[str]) -> int:
        """Take over what workers of a dead master still hold, so that no connection is refused. Returns how many."""
        for exchange in exchanges:
            for which in (LISTENER, ADMIN_LISTENER):
                sock = ask_for_listener(exchange, which)
                if sock is not None:
                    host, port = sock.getsockname()[:2]
                    self._open.setdefault((str(host), int(port)), sock)
        return len(self._open)

    def adopt(self, sockets: Iterable[socket.socket]) -> None:
        """Go on with listening sockets of an earlier program of this process."""
        for sock in sockets:
            sock.setblocking(False)
            host, port = sock.getsockname()[:2]
            self._open[str(host), int(port)] = sock

    def descriptors(self) -> tuple[int, ...]:
        return tuple(sock.fileno() for sock in self._open.values())

    def keep_only(self, used: Iterable[socket.socket]) -> None:
        """Close the listeners no generation uses any more."""
        keep = {id(sock) for sock in used}
        for address, sock in list(self._open.items()):
            if id(sock) not in keep:
                sock.close()
                del self._open[address]

    def let_go(self, sock: socket.socket) -> None:
        """Nobody listens there any more: not draining workers, not a service manager that keeps the same socket."""
        for address, mine in list(self._open.items()):
            if mine is sock:
                del self._open[address]
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.keep_only(())


def _bind(family: int, address: tuple[str, int]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock
