"""Opening a connection: the look-up, a name's addresses in turn, TLS, a proxy in between."""

from __future__ import annotations

import asyncio
import contextvars
import os
import socket
import ssl
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

import aiohappyeyeballs
import certifi

from aiops.gateway.worker.lanes.upstream.connection import Connection
from aiops.gateway.worker.lanes.upstream.failed import Refused, Stage, TimedOut
from aiops.gateway.worker.lanes.upstream.target import Origin, Proxy

NEXT_ADDRESS: Final = 0.25
"""Seconds until the next address of a name is tried beside the one before (RFC 8305)."""


async def connect(origin: Origin, seconds: float | None, free: Callable[[Connection], None]) -> Connection:
    """Raises TimedOut and Refused."""
    loop = asyncio.get_running_loop()
    connection = Connection(loop, free)
    # A connection keeps the context it is made in, and outlives the request: not with what belongs to that one.
    connecting = loop.create_task(_through(origin, connection, loop), context=contextvars.Context())
    try:
        try:
            async with asyncio.timeout(seconds) as limit:
                await connecting
        except BaseException:
            connection.cut()  # it may have been there in the same moment
            raise
    except TimeoutError as error:
        if limit.expired():
            raise TimedOut(Stage.CONNECT, seconds) from error
        raise Refused(f"no connection to {origin.authority}: {error}") from error
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError, UnicodeError a ValueError
        raise Refused(f"no connection to {origin.authority}: {error}") from error
    return connection


@cache
def trusted() -> ssl.SSLContext:
    """As LiteLLM has it: ``SSL_VERIFY`` (a file, or false), ``SSL_CERT_FILE``, else Mozilla's list; with the ciphers of
    ``SSL_SECURITY_LEVEL`` and the curve of ``SSL_ECDH_CURVE``."""
    verify = os.environ.get("SSL_VERIFY", "")
    given = (each for each in (verify, os.environ.get("SSL_CERT_FILE", "")) if each and Path(each).exists())
    context = ssl.create_default_context(cafile=next(given, None) or certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    if ciphers := os.environ.get("SSL_SECURITY_LEVEL"):
        context.set_ciphers(ciphers)
    if curve := os.environ.get("SSL_ECDH_CURVE"):
        context.set_ecdh_curve(curve)
    if verify.strip().lower() == "false":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def _through(origin: Origin, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
    proxy = origin.proxy
    if proxy is None:
        await _connected(loop, connection, origin.host, origin.port, tls=origin.tls)
    elif not origin.tls:
        await _connected(loop, connection, proxy.host, proxy.port, tls=proxy.tls)
    else:
        tunnel = Tunnel(origin, proxy, loop)
        try:
            await _connected(loop, tunnel, proxy.host, proxy.port, tls=proxy.tls)
            await tunnel.dug
            transport = await loop.start_tls(tunnel.transport, connection, trusted(), server_hostname=origin.host)
        except BaseException:
            tunnel.abort()
            raise
        if transport is None:
            raise ConnectionResetError("the proxy closed the connection")
        connection.connection_made(transport)


async def _connected(
    loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol, host: str, port: int, *, tls: bool
) -> None:
    options: dict[str, Any] = {"ssl": trusted(), "server_hostname": host} if tls else {}
    # The loop's own look-up, which knows where the worker may go.
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if len(found) == 1:
        await loop.create_connection(lambda: protocol, str(found[0][4][0]), port, **options)
        return
    sock = await aiohappyeyeballs.start_connection(found, loop=loop, happy_eyeballs_delay=NEXT_ADDRESS, interleave=1)
    try:
        await loop.create_connection(lambda: protocol, sock=sock, **options)
    except BaseException:
        sock.close()
        raise


class Tunnel(asyncio.Protocol):
    """Asks a proxy to connect us with ``origin``. ``dug``: it has."""

    def __init__(self, origin: Origin, proxy: Proxy, loop: asyncio.AbstractEventLoop) -> None:
        self.dug: asyncio.Future[None] = loop.create_future()
        self.transport: Any = None
        self._said = b""
        self._question = b"CONNECT %b HTTP/1.1\r\nhost: %b\r\n%b\r\n" % (
            *(origin.authority.encode("ascii"),) * 2,
            proxy.credentials,
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.transport.write(self._question)

    def data_received(self, data: bytes) -> None:
        self._said += data
        if self.dug.done():
            return
        if b"\r\n\r\n" in self._said:
            status = self._said.split(b"\r\n", 1)[0].decode("latin-1")
            if status.split(" ")[1:2] == ["200"]:
                self.dug.set_result(None)
            else:
                self.dug.set_exception(ConnectionRefusedError(f"the proxy says `{status}`"))
        elif len(self._said) > 16_384:
            self.dug.set_exception(ConnectionRefusedError("the proxy says something else than HTTP"))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.dug.done():
            self.dug.set_exception(exc or ConnectionResetError("the proxy closed the connection"))

    def abort(self) -> None:
        self.dug.cancel()
        if self.transport is not None:
            self.transport.abort()
