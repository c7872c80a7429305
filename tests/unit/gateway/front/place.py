"""A front without LiteLLM behind it: an application that answers as it is told, real counters, a real spool."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiops.gateway.shared.accounting import Manage, Managed, Unseeded
from aiops.gateway.worker import call
from aiops.gateway.worker.front import let_in
from aiops.gateway.worker.front.account import Account
from aiops.gateway.worker.front.asgi import ADMIN, Message, Receive, Scope, Send
from aiops.gateway.worker.front.cached.cache import Cache, Store
from aiops.gateway.worker.front.cached.question import Routes
from aiops.gateway.worker.front.doors import Doors
from aiops.gateway.worker.front.front import Front
from aiops.gateway.worker.front.known import Known
from aiops.gateway.worker.front.once.once import Keeper, Once
from aiops.gateway.worker.front.reserve import Reserve
from aiops.gateway.worker.prices import Prices, Ways
from aiops.state.counters.shared import Shared
from aiops.state.shapes import Account as Whose
from aiops.state.shapes import Identity
from aiops.state.usage.record import Usage
from aiops.state.usage.spool import Accepted

MASTER = "sk-master-0123456789"
KEY = "sk-0123456789abcdefghijkl"
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
ANSWER = {"id": "1", "model": "alpha", "choices": [{"message": {"content": "hello"}}], "usage": USAGE}
DEPLOYMENT = {
    "model_name": "alpha",
    "litellm_params": {"model": "openai/alpha", "api_base": "http://127.0.0.1:1/v1"},
    "model_info": {
        "id": "d1", "provider": "one", "input_cost_per_token": 0.001, "output_cost_per_token": 0.002,
    },
}  # fmt: skip
PRICELESS = {
    "model_name": "beta",
    "litellm_params": {"model": "openai/beta-of-nobody", "api_base": "https://api.example.com/v1"},
    "model_info": {"id": "d2", "provider": "two"},
}


def hash_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def identity(*accounts: Whose, key: str = KEY, **more: Any) -> Identity:
    """Of a key whose own account is the first; without any it has one without limits."""
    return Identity(
        id="k1", hash=hash_of(key), name=f"sk-...{key[-4:]}", alias=None, accounts=accounts or (account(),), **more
    )


def account(kind: Any = "key", id: str = "k1", **more: Any) -> Whose:
    return Whose(kind=kind, id=id, **more)


class LookUp:
    """What an accountant knows; ``asked`` are the hashes it was asked for."""

    def __init__(self, *identities: Identity) -> None:
        self.known = {each.hash: each for each in identities}
        self.asked: list[str] = []
        self.fails: Exception | None = None
        self.seq = 0

    async def identity(self, hash: str) -> tuple[Identity | None, int]:
        self.asked.append(hash)
        if self.fails is not None:
            raise self.fails
        return self.known.get(hash), self.seq


class Records:
    """A spool that is a list."""

    def __init__(self) -> None:
        self.accepted_: list[Accepted] = []
        self.ending_: list[Usage] = []
        self.ended_: list[Usage] = []
        self.passed_on_: list[Accepted] = []

    def accepted(self, request: Accepted) -> None:
        self.accepted_.append(request)

    def passed_on(self, request: Accepted) -> None:
        self.passed_on_.append(request)

    def ending(self, usage: Usage) -> None:
        self.ending_.append(usage)

    def ended(self, usage: Usage) -> None:
        self.ended_.append(usage)


@dataclass
class Answered:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    pieces: list[bytes] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)  # requests that were over when each piece came

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        return self.json["error"]


class App:
    """LiteLLM's place: what it was given, and the answer it is to give, in pieces. ``then`` is called before it."""

    def __init__(self) -> None:
        self.seen: list[tuple[Scope, Any, let_in.LetIn | None]] = []
        self.status = 200
        self.headers: list[tuple[bytes, bytes]] = [(b"content-type", b"application/json")]
        self.pieces: Sequence[bytes] = (json.dumps(ANSWER).encode(),)
        self.before_piece: Callable[[int], Any] = lambda number: None
        self.deployment, self.provider = "d1", "one"
        self.in_one = False  # as LiteLLM sends what is no stream

    def streams(self, *pieces: bytes) -> None:
        self.headers, self.pieces = [(b"content-type", b"text/event-stream; charset=utf-8")], pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        if scope["type"] == "http":
            message = await receive()
            body = message.get("body", b"")
        self.seen.append((scope, body, let_in.current.get()))
        this = call.Call()
        call.current.set(this)
        if self.deployment:
            this.name = "alpha"
            this.ask(self.deployment, self.provider, 0.0)
        await send({"type": "http.response.start", "status": self.status, "headers": list(self.headers)})
        if self.in_one:
            await send({"type": "http.response.body", "body": b"".join(self.pieces)})
            return
        for number, piece in enumerate(self.pieces):
            found = self.before_piece(number)
            if found is not None:
                await found
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class Place:
    """``keeper``: who keeps answers for retries. ``store``: who keeps them for whoever asks the same."""

    def __init__(
        self,
        directory: Path,
        *identities: Identity,
        exposed: Iterable[str] = (),
        zone: Any = None,
        keeper: Keeper | None = None,
        store: Store | None = None,
        apart: bool = False,
        same: Mapping[str, str] = {},
    ) -> None:
        self.now = 1_793_000_000.0
        self.app, self.records, self.look_up = App(), Records(), LookUp(*identities)
        self.said: list[str] = []
        self.counters = Shared(directory / "counters")
        self.said_of_keys: list[str] = []
        self.known = Known(self.said_of_keys.append)
        self.known.ask = self.look_up
        self.managed: list[Manage] = []
        book = Prices([DEPLOYMENT, PRICELESS], (), {})
        self.reserve = Reserve(self.counters, book, lambda name: Ways(), "1.1", self.said.append)
        self.ledger: dict[str, int] = {}  # by name of a counter
        self.reserve.seeder = self._seed
        account = Account(self.records, book, 7, "here")
        self.routes = Routes(lambda name: Ways(), book, {"d1": "as it was"})
        self.front = Front(
            self.app,
            Doors(exposed),
            frozenset({"/_health/live"}),
            self.known,
            self.reserve,
            account,
            self._manage,
            Once(keeper, self.said.append) if keeper is not None else None,
            Cache(store, self.routes) if store is not None else None,
            apart=apart,
            same=same,
            metrics=self._scrape,
            clock=lambda: self.now,
        )

    async def _seed(self, counters: Sequence[Unseeded], epoch: str) -> None:
        amounts = {each.name: each.base + self.ledger.get(each.name, 0) for each in counters}
        await self.counters.seed(amounts, {each.name: each.ends for each in counters}, epoch)

    async def _manage(self, request: Manage) -> Managed:
        self.managed.append(request)
        return Managed(200, {"ok": True})

    async def _scrape(self) -> str:
        return "aiops_accountant_up 1.0\n"

    async def ask(
        self,
        path: str = "/v1/chat/completions",
        body: Any = None,
        *,
        key: str | None = KEY,
        method: str = "POST",
        headers: Mapping[str, str] = {},
        receive: Receive | None = None,
        kind: str = "http",
        query: bytes = b"",
        by_admin: bool = False,
    ) -> Answered:
        given = {"content-type": "application/json", **headers}
        if key is not None:
            given.setdefault("authorization", f"Bearer {key}")
        raw = body if isinstance(body, bytes) else json.dumps(body if body is not None else chat()).encode()
        scope: Scope = {
            "type": kind,
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "client": ("203.0.113.9", 5),
            "server": ("127.0.0.1", 4000),
            "state": {ADMIN: True} if by_admin else {},
            "extensions": {"websocket.http.response": {}},
        }
        found = Answered()

        said: list[Message] = [{"type": "http.request", "body": raw, "more_body": False}]

        async def give() -> Message:
            if not said:
                await asyncio.Event().wait()  # it stays until it is answered
            return said.pop()

        async def send(message: Message) -> None:
            if message["type"].endswith("response.start"):
                found.status = message["status"]
                found.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            elif message["type"].endswith("response.body"):
                found.pieces.append(message.get("body", b""))
                found.ended.append(len(self.records.ended_))
                found.body += message.get("body", b"")

        await self.front(scope, receive or give, send)
        return found


def chat(model: str = "alpha", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "x" * 40}], "max_tokens": 5, **more}
