"""Open client connections of one worker, and how they leave it without losing a request.

HTTP/1.1 has no way to tell an idle client "do not send here any more": closing an idle connection races with
the request the client may be sending at that moment. So idle connections are not closed but *handed over*: the
socket itself goes to a worker of the next generation (SCM_RIGHTS), with whatever the kernel has already
received on it. Clients see nothing, and the old generation need not linger for its idle clients.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

# What may be said at a worker's exchange, one packet each.
ADOPT = b"C"  # with a descriptor: go on with this client connection
ADOPT_ADMIN = b"A"  # the same with one that came by the port of the management API
GIVE = b"G"  # with two: the same, and memory that has a request which came by it; and JSON about it, see ``giving``
LISTENER = b"L"  # answer with the listening socket
ADMIN_LISTENER = b"M"  # the same with that of the management API; without one when there is none
RETIRE = b"R"  # with JSON {"heirs": [...]}: drain, and leave
STAND_BY = b"S"  # with JSON {"address": [host, port]}: answered; accept nothing there while this link is open
LARGEST_PACKET = 65536


def is_idle(connection: Any) -> bool:
    """True when an HTTP connection has no request in flight, none queued, and none half received."""
    cycle = getattr(connection, "cycle", None)
    if not hasattr(connection, "pipeline") or connection.transport.is_closing() or connection.pipeline:
        return False
    if connection.transport.get_write_buffer_size():
        return False  # the client has not taken its last answer yet
    if connection.scope is None:
        return True  # connected, nothing sent yet
    # on_message_begin makes a new scope before there is a cycle for it: then a request is half received.
    return cycle is not None and cycle.response_complete and cycle.scope is connection.scope


def idle(connections: Iterable[Any]) -> list[Any]:
    return [connection for connection in list(connections) if is_idle(connection)]


def close_after_response(connections: Iterable[Any]) -> None:
    """Announce ``Connection: close`` where the response has not started. After the headers it would lose the reply."""
    for connection in list(connections):
        cycle = getattr(connection, "cycle", None)
        if cycle is not None and not cycle.response_started:
            cycle.keep_alive = False


def detach(connection: Any) -> socket.socket | None:
    """Take a client's socket out of the event loop, open. None for a private (unix) one, which is closed instead."""
    transport = connection.transport
    raw = transport.get_extra_info("socket")
    if raw is None or raw.family == socket.AF_UNIX:
        transport.close()
        return None
    taken = copy(connection)
    drop(connection)
    return taken


def copy(connection: Any) -> socket.socket:
    """Another descriptor of a client's socket, from which nobody here reads any more."""
    connection.transport.pause_reading()
    return socket.socket(fileno=os.dup(connection.transport.get_extra_info("socket").fileno()))


def drop(connection: Any) -> None:
    """Forget a connection that has a copy elsewhere."""
    connection._unset_keepalive_if_required()
    connection.transport.abort()  # closes this descriptor only: the duplicate keeps the connection


class Heirs:
    """Workers of a later generation that take connections over, in turn.

    A stream may outlast several generations: then the heirs that were named first have left, and others are named.
    """

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._links: list[socket.socket] = []
        self.named = False  # somebody was, even if nobody is left

    def name(self, addresses: Iterable[str]) -> None:
        """From now on these, and no others. None at all: nobody will come, connections may end here."""
        self.close()
        self._waiting = list(addresses)
        self.named = bool(self._waiting)

    @property
    def any(self) -> bool:
        """Whether somebody takes connections now."""
        while self._waiting and not self._links:
            self._connect()
        return bool(self._links)

    def give(self, sock: socket.socket, said: bytes = ADOPT, *more: int) -> bool:
        """Pass one connection on, with what is ``said`` of it and ``more`` descriptors. False when no heir is left."""
        while self.any:
            link = self._next()
            try:
                socket.send_fds(link, [said], [sock.fileno(), *more])
            except OSError:
                self._links.remove(link)
                link.close()
                continue
            return True
        return False

    def close(self) -> None:
        for link in self._links:
            link.close()
        self._links = []

    def _next(self) -> socket.socket:
        while self._waiting:
            self._connect()
        link = self._links.pop(0)
        self._links.append(link)
        return link

    def _connect(self) -> None:
        link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        link.settimeout(2)
        try:
            link.connect(self._waiting.pop(0))
        except OSError:
            link.close()
        else:
            self._links.append(link)


class Exchange:
    """The worker's own door: a SEQPACKET unix socket on which connections arrive and the listeners can be asked for.

    ``listeners``: the public one, and that of the management API if there is one. ``adopt``: whether a connection came
    by that one, too. ``take``: one with a request that came by it.
    """

    def __init__(
        self,
        path: Path,
        listeners: Sequence[socket.socket],
        adopt: Callable[[socket.socket, bool], None],
        retire: Callable[[list[str]], None],
        stand_by: Callable[[], None],
        resume: Callable[[], None],
        take: Callable[[socket.socket, bytes, int], None],
    ) -> None:
        self._path = path
        self._take = take
        self._adopt = adopt
        self._retire = retire
        self._stand_by = stand_by
        self._resume = resume
        self._holds: set[socket.socket] = set()  # links of a master that wants this worker to stand by
        self._listener, self._admin = listeners[0], listeners[1:]
        self._links: set[socket.socket] = set()
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._sock.setblocking(False)
        self._sock.bind(str(path))
        path.chmod(0o600)
        self._sock.listen(64)
        asyncio.get_running_loop().add_reader(self._sock, self._accept)

    def close(self) -> None:
        """Let nobody in any more, and take what is on its way: a connection that is handed over is never lost."""
        with contextlib.suppress(OSError):  # a read-only disk must not keep anything from being handed over
            self._path.unlink(missing_ok=True)
        # From here on a sender fails, and keeps what it was about to hand over.
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        while self._accept():
            pass
        asyncio.get_running_loop().remove_reader(self._sock)
        self._sock.close()
        for link in list(self._links):
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RD)
            while link in self._links and self._receive(link):
                pass
            self._drop(link)

    def _accept(self) -> bool:
        """Whether somebody came in."""
        try:
            link, _ = self._sock.accept()
        except OSError:
            return False
        link.setblocking(False)
        self._links.add(link)
        asyncio.get_running_loop().add_reader(link, self._receive, link)
        return True

    def _drop(self, link: socket.socket) -> None:
        if link in self._links:
            self._links.discard(link)
            asyncio.get_running_loop().remove_reader(link)
            link.close()
        if link in self._holds:
            self._holds.discard(link)
            if not self._holds:
                self._resume()

    def _receive(self, link: socket.socket) -> bool:
        """Take one packet. Whether there was one."""
        try:
            data, descriptors, _, _ = socket.recv_fds(link, LARGEST_PACKET, 2)
        except BlockingIOError:
            return False
        except OSError:
            data, descriptors = b"", []
        if data in (ADOPT, ADOPT_ADMIN) and descriptors:
            self._adopt(socket.socket(fileno=descriptors[0]), data == ADOPT_ADMIN)
        elif data[:1] == GIVE and len(descriptors) == 2:
            self._take(socket.socket(fileno=descriptors[0]), data, descriptors[1])
        elif data == LISTENER:
            socket.send_fds(link, [LISTENER], [self._listener.fileno()])
        elif data == ADMIN_LISTENER:
            socket.send_fds(link, [ADMIN_LISTENER], [each.fileno() for each in self._admin])
        elif data[:1] == RETIRE:
            self._retire([str(heir) for heir in json.loads(data[1:])["heirs"]])
        elif data[:1] == STAND_BY:
            if json.loads(data[1:])["address"] == list(self._listener.getsockname()[:2]):
                self._holds.add(link)
                self._stand_by()
            with contextlib.suppress(OSError):
                link.send(STAND_BY)
        else:
            for descriptor in descriptors:
                os.close(descriptor)
            self._drop(link)
            return False
        return True


def ask_for_listener(address: str, which: bytes = LISTENER) -> socket.socket | None:
    """The listening socket of a worker that outlived its master; None when it has none, or does not answer within 2 s.

    One of a version that does not know the other kind drops the link.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as link:
        link.settimeout(2)
        try:
            link.connect(address)
            link.send(which)
            _, descriptors, _, _ = socket.recv_fds(link, 16, 1)
        except OSError:
            return None
    return socket.socket(fileno=descriptors[0]) if descriptors else None


def stand_by(exchanges: Collection[str], listener: socket.socket) -> dict[str, socket.socket]:
    """Let workers of an earlier master accept nothing at an address, for as long as the links returned are open.

    Whoever holds the links may die: the workers accept again then. One of a version that does not know this drops
    the link and accepts on. Waits for their answers, 2 s at most.
    """
    links: dict[str, socket.socket] = {}
    for exchange in exchanges:
        link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        link.settimeout(2)
        try:
            link.connect(exchange)
            link.send(STAND_BY + json.dumps({"address": listener.getsockname()[:2]}).encode())
        except OSError:
            link.close()
        else:
            links[exchange] = link
    until = time.monotonic() + 2
    for link in links.values():
        with contextlib.suppress(OSError):
            link.settimeout(max(until - time.monotonic(), 0.01))
            link.recv(16)
    return links


def retire(address: str, heirs: list[str], held: socket.socket | None = None) -> bool:
    """Tell a worker of an earlier master to hand its connections to ``heirs`` and leave. False: nobody is there.

    ``held``: its link, if it stands by; it must not accept again between the end of that and this.
    """
    with held or socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as link:
        link.settimeout(2)
        try:
            if held is None:
                link.connect(address)
            link.send(RETIRE + json.dumps({"heirs": heirs}).encode())
        except OSError:
            return False
    return True
