"""The public port: what is not an open door is not there, and nothing but health answers without a key.

Requests of aiops itself come by a private unix socket and do not pass here.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from aiops.gateway.worker.front import key
from aiops.gateway.worker.front.doors import WEBSOCKET, Doors, opens
from aiops.spec.shapes.exposed import OPENS

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SERVED = "This port serves the API that models are asked with, and /v1/models."


class Application(Protocol):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


class Front:
    """Wraps the application of a worker. ``health``: the paths that it answers without a key."""

    def __init__(self, app: Application, doors: Doors, health: frozenset[str]) -> None:
        self._app = app
        self._doors = doors
        self._health = health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind not in ("http", "websocket") or scope["client"] is None:  # the private unix socket
            await self._app(scope, receive, send)
            return
        method = scope["method"] if kind == "http" else WEBSOCKET
        path = scope["path"]
        if path in self._health or self._doors.public(method, path):
            await self._app(scope, receive, send)
            return
        if method == "OPTIONS" and (asked := _preflight(scope)) and self._doors.usual(asked, path):
            # A browser asks before it sends anything, and has no key then. LiteLLM's CORS layer answers.
            await self._app(scope, receive, send)
            return
        usual = self._doors.usual(method, path)
        if not usual and not self._doors.opened(method, path):
            bare = path.rstrip("/")
            usual = self._doors.usual(method, bare)
            if not usual:
                await _refuse(scope, send, 404, _not_here(method, path))
                return
            # LiteLLM would redirect, and not every client follows a POST.
            scope = {**scope, "path": bare, "raw_path": scope.get("raw_path", b"").rstrip(b"/")}
        if not any(map(key.is_known, key.given(scope["headers"], scope.get("query_string", b"")))):
            await _refuse(scope, send, 401, _no_key(scope), b"Bearer" if usual else b'Basic realm="aiops"')
            return
        await self._app(scope, receive, send)


def _preflight(scope: Scope) -> str:
    headers = dict(scope["headers"])
    return str(headers.get(b"access-control-request-method", b"").decode("latin-1")) if b"origin" in headers else ""


def _no_key(scope: Scope) -> str:
    if any(key.given(scope["headers"], scope.get("query_string", b""))):
        return "Incorrect API key provided."
    return "No API key was given. Send it as `Authorization: Bearer KEY`."


def _not_here(method: str, path: str) -> str:
    group = opens(method, path)
    what = f"There is nothing at {method} {path[:200]}."
    if group is None:
        return f"{what} {SERVED}"
    return f"{what} {SERVED} For the operator: `gateway.expose: [{group}]` in aiops.yaml opens {OPENS[group]}."


async def _refuse(scope: Scope, send: Send, status: int, message: str, challenge: bytes = b"") -> None:
    """An error in OpenAI's shape; to a websocket as the answer to its handshake."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": str(status)}
    body = json.dumps({"error": error}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if challenge:
        headers.append((b"www-authenticate", challenge))
    prefix = "" if scope["type"] == "http" else "websocket."
    if prefix and "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    await send({"type": f"{prefix}http.response.start", "status": status, "headers": headers})
    await send({"type": f"{prefix}http.response.body", "body": body})
