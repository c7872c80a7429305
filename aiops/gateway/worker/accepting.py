"""Where a worker accepts connections: on the public port, and on that of the management API if there is one."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

Made = Callable[[bool], asyncio.Protocol]


class Accepting:
    """``admin``: the socket of the management API. ``make``: a protocol for a connection, and whether it came there."""

    def __init__(self, public: socket.socket, admin: socket.socket | None, backlog: int, make: Made) -> None:
        self._sockets = {False: public} | ({True: admin} if admin is not None else {})
        self._backlog = backlog
        self._make = make
        self._open: dict[bool, asyncio.Server] = {}

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        for admin, sock in self._sockets.items():
            if admin not in self._open:
                # A duplicate: closing this server must not close the listener that other generations share.
                self._open[admin] = await loop.create_server(
                    lambda admin=admin: self._make(admin),  # type: ignore[misc]
                    sock=sock.dup(),
                    backlog=self._backlog,
                )

    def stand_by(self) -> None:
        """Users are somebody else's. Administrators need not be: whoever answers them asks the same accountant, and a
        port that the next generation does not have must be there until that one has proved itself."""
        self._close(False)

    def close(self) -> None:
        for admin in list(self._open):
            self._close(admin)

    def _close(self, admin: bool) -> None:
        server = self._open.pop(admin, None)
        if server is not None:
            server.close()
