"""The lanes without a front, with real providers; LiteLLM's place is taken by an application that answers as told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiops.gateway.worker.board import Board
from aiops.gateway.worker.call import Call, State, current
from aiops.gateway.worker.dispatch import Dispatch
from aiops.gateway.worker.extension import Extension
from aiops.gateway.worker.front import asked
from aiops.gateway.worker.front.asgi import Message, Receive, Scope, Send
from aiops.gateway.worker.lanes.direct.attempt import Attempts
from aiops.gateway.worker.lanes.direct.direct import Direct
from aiops.gateway.worker.lanes.lanes import Lanes
from aiops.gateway.worker.lanes.plan import Planner
from aiops.gateway.worker.lanes.upstream.client import Upstream
from aiops.gateway.worker.limits import Limits
from aiops.gateway.worker.slots import Slots
from aiops.spec.choosing.rules import Group, Member, ProviderFacts, RoutingTable, Strategy
from aiops.spec.lanes import table
from aiops.spec.lanes.table import PATHS, Plain, Seconds
from tests.unit.gateway.front.place import Answered

SHORT = Seconds(connect=0.5, first_token=0.3, between_tokens=0.3)
NAMES = "alpha", "beta", "gamma"


class LiteLLM:
    """``calls``: the call that each request came with, and the body."""

    def __init__(self) -> None:
        self.calls: list[tuple[Call, bytes]] = []
        self.status = 200

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from aiops.gateway.worker import call

        this = call.current.get()
        assert this is not None
        self.calls.append((this, (await receive()).get("body", b"")))
        headers = [(b"content-type", b"application/json"), (b"x-litellm-attempted-fallbacks", b"0")]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"error":{"message":"by LiteLLM"}}'})


class Models:
    def knows(self, name: str) -> bool:
        return name in NAMES

    def provider(self, name: str) -> str | None:
        return None

    def fallbacks(self, name: str) -> tuple[str, ...]:
        return ()


class Lane:
    """``urls``: of the providers one, two, three, which serve alpha, beta and gamma. ``pool`` is a group of all."""

    def __init__(self, *urls: str, limits: Limits | None = None, queue: Any = None, **more: Any) -> None:
        of = more.pop("of", {})
        plain = more.pop("plain", {})
        ids = [f"d{number + 1}" for number in range(len(urls))]
        group = Group(
            "pool", "exact", Strategy.DIRECT, tuple(Member(id, f"p{number + 1}", None) for number, id in enumerate(ids))
        )
        providers = {f"p{number + 1}": ProviderFacts(1, True, queue=queue) for number in range(len(urls))}
        routing = RoutingTable(names={"pool": group}, plain=NAMES, providers=providers)
        direct = {
            id: table.Direct(
                **{
                    "deployment": id,
                    "provider": f"p{number + 1}",
                    "url": f"{url}/v1",
                    "model": f"{NAMES[number]}-there",
                    "paths": frozenset(PATHS),
                    "seconds": SHORT,
                    "stream_seconds": SHORT,
                    **of.get(id, {}),
                }
            )
            for number, (id, url) in enumerate(zip(ids, urls, strict=True))
            if of.get(id, {}) is not None
        }
        found = table.Lanes(
            direct=direct,
            plain={
                name: Plain(name=name, deployment=id, **plain.get(name, {}))
                for name, id in zip(NAMES, ids, strict=False)
            },
            **more,
        )
        self.board = Board(routing, Slots(1, len(providers)))
        self.board.deployments = frozenset(ids)
        self.dispatch = Dispatch(self.board, Models())
        self.litellm = LiteLLM()
        self.extension = Extension(self.litellm, None, 1, self.board)  # type: ignore[arg-type]
        self.upstream = Upstream()
        planner = Planner(self.dispatch, found)
        attempts = Attempts(self.upstream, self.dispatch, limits)
        self.lanes = Lanes(self.extension, planner, Direct(attempts, planner, lambda: 0.0))
        self.calls: list[Call] = []
        over = self.board.over

        def note(call: Call) -> None:
            self.calls.append(call)
            self.ended = call.state
            over(call)

        self.board.over = note  # type: ignore[method-assign]
        self.ended: State | None = None

    @property
    def call(self) -> Call:
        return self.calls[-1]

    def in_flight(self) -> int:
        return sum(self.board.in_flight(f"p{number}") for number in (1, 2, 3)) + self.extension.active

    async def ask(self, body: Any = None, path: str = "/v1/chat/completions", **more: Any) -> Answered:
        """Nothing is left of it afterwards."""
        found = await self.lanes_only(body, path, **more)
        assert self.in_flight() == 0
        return found

    @staticmethod
    def now() -> Call:
        found = current.get()
        assert found is not None
        return found

    async def lanes_only(
        self,
        body: Any = None,
        path: str = "/v1/chat/completions",
        *,
        headers: Mapping[str, str] = {},
        content_type: str = "application/json",
        query: bytes = b"",
        on_piece: Any = None,
    ) -> Answered:
        raw = body if isinstance(body, bytes) else json.dumps(body if body is not None else chat()).encode()
        wanted = asked.read(path, content_type.encode(), raw)
        given = {"content-type": content_type, **headers}
        scope: Scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "client": ("203.0.113.9", 5),
            "server": ("127.0.0.1", 4000),
        }
        found = Answered()
        waits: list[Message] = [{"type": "http.request", "body": raw, "more_body": False}]

        async def receive() -> Message:
            if not waits:
                await asyncio.Event().wait()
            return waits.pop()

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                assert not found.status, "a second head"
                found.status = message["status"]
                found.headers = {name.decode(): value.decode() for name, value in message["headers"]}
                return
            assert found.status
            found.pieces.append(message.get("body", b""))
            found.body += message.get("body", b"")
            if not message.get("more_body"):
                assert not found.ended, "a second end"
                found.ended.append(1)
            if on_piece is not None:
                await on_piece(message.get("body", b""))

        await asyncio.create_task(self.lanes.of(wanted)(scope, receive, send))
        return found


@asynccontextmanager
async def lane(*urls: str, **more: Any) -> AsyncIterator[Lane]:
    made = Lane(*urls, **more)
    try:
        yield made
    finally:
        await made.upstream.close()


def chat(model: str = "alpha", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "hello"}], **more}


def said(model: str = "alpha-there", text: str = "hello", **more: Any) -> dict[str, Any]:
    choices = [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}]
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    return {
        "id": "x1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": choices,
        "usage": usage,
    } | more


def chunk(model: str = "alpha-there", **delta: Any) -> dict[str, Any]:
    finish = delta.pop("finish_reason", None)
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "x1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]}
