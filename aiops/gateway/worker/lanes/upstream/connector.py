"""Which connection a request uses: aiohttp's pool, and what of it has to be known here."""

from __future__ import annotations

import asyncio
import socket
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Final

import aiohttp

from aiops.gateway.worker.lanes.upstream.failed import Refused

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import AddrInfoType, Connection
    from aiohttp.tracing import Trace

_KEPT_ALIVE: Final = (
    # A model that thinks for ten minutes is silent: a NAT would forget the connection, a dead host go unnoticed.
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 20),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
)


class Attempt:
    """One request that is sent. ``seconds``: how long it may wait for a head once it has a connection. ``fresh``: that
    was made for it; ``late``: it waited too long, and was cut off."""

    __slots__ = ("_timer", "fresh", "late", "seconds")

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self.fresh = False
        self.late = False
        self._timer: asyncio.TimerHandle | None = None

    def start(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        if self.seconds is not None:
            self._timer = loop.call_later(self.seconds, self._expire, connection)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None  # its context has this attempt, and all of its request: a circle that only gc would free

    def _expire(self, connection: Connection) -> None:
        self.late = True
        if connection.transport is not None:
            connection.transport.abort()


current: ContextVar[Attempt] = ContextVar("current")


class Connector(aiohttp.TCPConnector):
    """Limits are the board's. ``idle_seconds``: how long a connection is kept for the next request; None: it is not."""

    def __init__(self, idle_seconds: float | None) -> None:
        super().__init__(
            limit=0,
            force_close=idle_seconds is None,
            keepalive_timeout=idle_seconds,
            resolver=aiohttp.ThreadedResolver(),  # asks the loop, which knows where the worker may go
            socket_factory=_socket,
        )

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        while True:
            connection = await super().connect(req, traces, timeout)
            if connection.protocol is None or not connection.protocol.should_close:
                break
            connection.close()  # something came on it that nobody asked for: it would be taken for this answer
        current.get().start(connection, self._loop)
        return connection

    async def _create_connection(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        current.get().fresh = True
        # A connection keeps the context it is made in, and outlives the request: not with what belongs to that one.
        making = self._loop.create_task(super()._create_connection(req, traces, timeout), context=Context())
        try:
            return await making
        except aiohttp.ClientResponseError as error:
            raise Refused(f"no connection to {req.host}: the proxy says `{error.status} {error.message}`") from error
        except BaseException:
            if making.done() and not making.cancelled() and making.exception() is None:
                making.result().close()  # it was there in the same moment
            raise


def _socket(address: AddrInfoType) -> socket.socket:
    made = socket.socket(*address[:3])
    for option in _KEPT_ALIVE:
        made.setsockopt(*option)
    return made
