"""The thin ASGI layer around what a worker has behind its lanes, LiteLLM's application in a full one: health, who
answered, and no upstream addresses in answers.

The generation header is not added here but by the server itself (see ``worker``), which puts it on every
response, its own 400s included, at no cost per request.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from aiops.gateway.worker import call, introspect, probing, put_off
from aiops.gateway.worker.board import Board
from aiops.gateway.worker.front.asgi import is_private
from aiops.gateway.worker.front.proofs import MARK, is_proof
from aiops.gateway.worker.readiness import Readiness
from aiops.gateway.worker.reply import Reply

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

ROUTES = "/_aiops/routes"
LISTINGS = frozenset({"/v1/model/info", "/model/info", "/model_group/info"})

JSON_HEADERS = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]


class Application(Protocol):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


class Health(Protocol):
    """What the health endpoints ask the worker."""

    def readiness(self) -> Readiness: ...


class Extension:
    """Wraps that application. Raises what it raises."""

    def __init__(self, app: Application, health: Health, generation: int, board: Board) -> None:
        self._app = app
        self._health = health
        self._generation = generation
        self._board = board
        self.active = 0  # requests being answered now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        if path in HEALTH and scope["type"] == "http":
            status, body = HEALTH[path](self)
            await _answer(send, status, body)
            return

        if path == ROUTES and scope["type"] == "http" and is_private(scope):
            told = {**introspect.describe(self._board), "readiness": self._health.readiness().told()}
            await _answer(send, 200, told)
            return
        this, scope = self.take(scope, receive)
        try:
            await self.ask(this, scope, receive, send)
        finally:
            self.over(this)

    def take(self, scope: Scope, receive: Receive) -> tuple[call.Call, Scope]:
        """A request is taken on; whoever takes it says when it is ``over``."""
        private = is_private(scope)
        if private:
            self._take_probe(scope)
        elif is_proof(scope["headers"]):
            probing.proof.set(True)
            scope = {**scope, "headers": [header for header in scope["headers"] if header[0] != MARK]}
        this = call.Call(scope["headers"], private=private or probing.private.get(), proof=probing.proof.get())
        if scope["type"] == "http" and not private:
            this.receive = receive
        call.current.set(this)
        self.active += 1
        return this, scope

    def over(self, this: call.Call) -> None:
        """What was taken on has ended."""
        self.active -= 1
        self._board.over(this)

    async def ask(self, this: call.Call, scope: Scope, receive: Receive, send: Send) -> None:
        """By LiteLLM."""
        this.lane = call.LITELLM
        await put_off.make_ready_for(self._app, scope)
        lists = scope["path"] in LISTINGS and not this.private
        reply = Reply(this, self._board, send, lists=lists) if scope["type"] == "http" else send
        await self._app(scope, receive, reply)

    @staticmethod
    def _take_probe(scope: Scope) -> None:
        probing.private.set(True)
        probing.proof.set(True)
        for name, value in scope["headers"]:
            if name == probing.HEADER:
                probing.current.set(probing.Probe(value.decode("latin-1")))

    def live(self) -> tuple[int, dict[str, Any]]:
        return 200, {"status": "ok"}

    def ready(self) -> tuple[int, dict[str, Any]]:
        now = self._health.readiness()
        return _code(now), {"generation": self._generation, **now.shown()}

    def ready_plain(self) -> tuple[int, dict[str, Any]]:
        now = self._health.readiness()
        return _code(now), {"status": "ok" if now.serves else now.status}

    def ready_as_litellm(self) -> tuple[int, dict[str, Any]]:
        now = self._health.readiness()
        return _code(now), now.as_litellm()


def _code(now: Readiness) -> int:
    return 200 if now.serves else 503


HEALTH: dict[str, Callable[[Extension], tuple[int, dict[str, Any]]]] = {
    "/_health/live": Extension.live,
    "/_health/ready": Extension.ready,
    "/health/live": Extension.live,
    "/health/ready": Extension.ready_plain,
    "/health/readiness": Extension.ready_as_litellm,
}
OWN = frozenset(HEALTH) - {"/health/readiness"}
"""Those of aiops itself, whatever a load balancer asks with (GET, HEAD, OPTIONS); LiteLLM's is a door like others."""


async def _answer(send: Send, status: int, body: dict[str, Any]) -> None:
    data = json.dumps(body).encode()
    headers = [*JSON_HEADERS, (b"content-length", str(len(data)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": data})
