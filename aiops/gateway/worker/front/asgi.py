"""The words of ASGI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

ADMIN = "aiops.admin"
"""In the state of a connection that came by the port of the management API."""


class Application(Protocol):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


def is_private(scope: Scope) -> bool:
    """Whether it came by the worker's unix socket. Of a client that is gone already uvicorn does not know the address
    either, so that alone says nothing."""
    server = scope.get("server")
    return scope["client"] is None and server is not None and server[1] is None


def is_admins(scope: Scope) -> bool:
    """Whether it came by the port of the management API."""
    return ADMIN in scope.get("state", ())


def header(scope: Scope, name: bytes) -> bytes:
    """The first of that name, lower case; empty when there is none."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return b""


async def read_body(receive: Receive, most: int, announced: bytes = b"") -> bytes | None:
    """All of it; None when the client left meanwhile. ``announced``: its Content-Length, if it has one. Raises
    TooLarge, before anything is read when that says so."""
    if announced.isdigit() and int(announced[:20]) > most:
        raise TooLarge(f"The body is larger than {most:,} bytes.")
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        piece = message.get("body", b"")
        size += len(piece)
        if size > most:
            raise TooLarge(f"The body is larger than {most:,} bytes.")
        pieces.append(piece)
        if not message.get("more_body", False):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def left(receive: Receive) -> None:
    """Returns when the client has left. Its body has been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


class TooLarge(ValueError):
    """More than anybody reads into memory."""


def replay(body: bytes, receive: Receive) -> Receive:
    """``body`` once more, and then what ``receive`` has to say."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
