"""Where a worker may connect to: the addresses of the active providers, Redis for the counters, and nowhere else.

This is the guarantee that no request leaves for an address that no active provider has, whatever LiteLLM makes of a
request: it holds below every HTTP client, where connections are made. LiteLLM's asynchronous clients all connect
through the event loop, which is ours; what connects in another way is seen by an audit hook (PEP 578).
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterable
from typing import Any
from urllib.request import getproxies

import uvloop

from aiops.spec.shapes.urls import connects_to
from aiops.state.counters.connections import CONNECTING

log = logging.getLogger("aiops.egress")


class NoProvider(ConnectionRefusedError):
    """A connection to where no active provider is. Nothing was sent."""


class Egress:
    """``addresses``: ``host:port`` of the providers; with a dot in front, of all hosts below that name."""

    def __init__(self, addresses: Iterable[str]) -> None:
        self._named = {(_host(host), int(port)) for host, _, port in (each.rpartition(":") for each in addresses)}
        # A proxy that the operator set connects in our place, and is asked for a provider by name.
        self._named |= {connects_to(url) for url in getproxies().values() if "://" in url}
        self._below = {place for place in self._named if place[0].startswith(".")}
        self._resolved: set[tuple[str, int]] = set()
        self._looked_up = threading.local()
        self.refused = 0

    def check(self, host: object, port: object) -> None:
        """Raises NoProvider."""
        if CONNECTING.get():  # to the counters, which no request can name
            return
        where = (_host(host), _port(port))
        if where not in self._named and where not in self._resolved and not self._is_below(where):
            self.refused += 1
            text = f"{where[0]}:{where[1]} is no address of an active provider; nothing was sent"
            log.error(text)
            raise NoProvider(text)

    def _is_below(self, where: tuple[str, int]) -> bool:
        return any(where[1] == port and where[0].endswith(name) for name, port in self._below)

    def resolved(self, found: Iterable[tuple[Any, ...]]) -> None:
        """What the name of a provider stands for: ``getaddrinfo``'s answer."""
        self._resolved |= {(_host(entry[4][0]), entry[4][1]) for entry in found}

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """For ``sys.addaudithook``: what connects without the event loop, in a thread for instance."""
        if event == "socket.getaddrinfo":
            host, port = arguments[0], arguments[1]
            if host is not None and port:
                self.check(host, port)
                self._looked_up.port = _port(port)
        elif event == "socket.connect" and isinstance(arguments[1], tuple):  # a unix socket has a path
            host, port = arguments[1][0], arguments[1][1]
            if getattr(self._looked_up, "port", None) == port:
                # The look-up's answer is not seen here: the thread that asked goes on to one of its addresses.
                self._resolved.add((_host(host), port))
            self.check(host, port)


class Loop(uvloop.Loop):  # type: ignore[misc]  # compiled, without types
    """An event loop that asks ``egress`` before it connects; None: it does not ask."""

    egress: Egress | None = None

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        if self.egress is None or host is None:
            return await super().getaddrinfo(host, port, **options)
        self.egress.check(host, port)
        found = await super().getaddrinfo(host, port, **options)
        self.egress.resolved(found)
        return found

    async def sock_connect(self, sock: Any, address: Any) -> None:
        if self.egress is not None and isinstance(address, tuple):
            self.egress.check(address[0], address[1])
        await super().sock_connect(sock, address)

    async def create_connection(self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        if self.egress is not None and host is not None:
            self.egress.check(host, port)
        return await super().create_connection(protocol_factory, host, port, **options)

    async def create_datagram_endpoint(self, protocol_factory: Any, *places: Any, **options: Any) -> Any:
        remote = options.get("remote_addr") or (places[1] if len(places) > 1 else None)
        if self.egress is not None and isinstance(remote, tuple):
            self.egress.check(remote[0], remote[1])
        return await super().create_datagram_endpoint(protocol_factory, *places, **options)


def guard(loop: Loop, addresses: Iterable[str]) -> Egress:
    """From now on this process connects to nothing else. It cannot be taken back: the process serves one generation."""
    loop.egress = egress = Egress(addresses)
    process = os.getpid()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith("socket.") and os.getpid() == process:
            egress.audit(event, arguments)

    sys.addaudithook(hook)
    return egress


def _host(host: object) -> str:
    text = host.decode("latin-1") if isinstance(host, bytes) else str(host)
    text = text.strip("[]").rstrip(".").lower()
    try:
        return text if text.isascii() else text.encode("idna").decode("ascii")
    except UnicodeError:
        return text


def _port(port: object) -> int:
    if isinstance(port, int):
        return port
    text = port.decode("latin-1") if isinstance(port, bytes) else str(port)
    return int(text) if text.isdigit() else {"http": 80, "https": 443}.get(text, 0)
