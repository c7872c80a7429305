"""Which lane answers a request: directly, where its provider speaks the language of its client, or by LiteLLM.

Stands behind the front and before both. A request that begins directly may cross to LiteLLM, when the next one to be
asked needs that: it is the same call, and LiteLLM's hook is told who is left.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import orjson

from aiops.gateway.worker import call, probing
from aiops.gateway.worker.extension import Extension
from aiops.gateway.worker.front.asgi import Application, Message, Receive, Scope, Send, header, replay
from aiops.gateway.worker.front.asked import Asked
from aiops.gateway.worker.front.passage import STOPS_AT_ONCE
from aiops.gateway.worker.lanes.direct.attempt import JSON, OF_SOUND, Request
from aiops.gateway.worker.lanes.direct.direct import Direct, refuse
from aiops.gateway.worker.lanes.direct.failed import Failed
from aiops.gateway.worker.lanes.origins import Origins
from aiops.gateway.worker.lanes.plan import Planner
from aiops.gateway.worker.lanes.read_by_litellm import FIELDS, PREFIXES
from aiops.spec.lanes.repairs import repaired
from aiops.spec.lanes.table import PATHS

_PATHS: Final = {f"{prefix}/{path}": path for path in PATHS for prefix in ("/v1", "")} | {"/messages": ""}
_WITH_METADATA: Final = ("messages", "responses")
"""Where that field is the provider's."""
_WITH_QUERY: Final = frozenset({("messages", b"beta=true")})
"""As clients of Anthropic's ask it."""
_HEADER: Final = b"x-litellm-"
_KEY: Final = b"x-litellm-api-key"
ALONE: Final = "disable_fallbacks"
OF_PROOFS: Final = frozenset({b"x-litellm-num-retries"})
"""What aiops says to LiteLLM when it asks models itself; a client that says it means LiteLLM."""


class Lanes:
    """One per worker. ``litellm``: the other lane."""

    def __init__(self, litellm: Extension, planner: Planner, direct: Direct) -> None:
        self._litellm = litellm
        self._planner = planner
        self._direct = direct
        self._origins = Origins()

    def of(self, asked: Asked) -> Application:
        """What answers this request."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            path = self.path(scope, asked)
            if path:
                await self._answer(asked, path, scope, receive, send)
            else:
                await self._litellm(scope, receive, send)

        return answer

    def of_proof(self, asked: Asked) -> Application:
        """What answers one that aiops itself asks, which may say that nobody else is to be asked, and nobody twice."""
        said = {name: value for name, value in asked.said.items() if name != ALONE}
        plain = asked if said == asked.said else replace(asked, said=said, body=orjson.dumps(said))

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            headers = [pair for pair in scope["headers"] if pair[0] not in OF_PROOFS]
            path = self.path({**scope, "headers": headers}, plain)
            if path:
                await self._answer(plain, path, scope, receive, send, alone=plain is not asked)
            else:
                await self._litellm(scope, receive, send)

        return answer

    def path(self, scope: Scope, asked: Asked) -> str:
        """What is asked, if it can be asked directly; else empty."""
        if not self._planner.any or scope["type"] != "http":
            return ""
        path = _PATHS.get(scope["path"], "")
        if not path or len(asked.models) != 1 or asked.not_theirs or asked.background:
            return ""
        query = scope.get("query_string", b"")
        if query and (path, query) not in _WITH_QUERY:
            return ""
        kind = header(scope, b"content-type")
        if kind != JSON and _form(kind) and (path not in OF_SOUND or not kind.lower().startswith(b"multipart/")):
            return ""  # of which LiteLLM makes JSON
        said = asked.said
        if not FIELDS.isdisjoint(said) and not (path in _WITH_METADATA and FIELDS & said.keys() == {"metadata"}):
            return ""
        if any(name.startswith(PREFIXES) for name in said):
            return ""
        if path == "responses" and (said.get("store") is not False or "previous_response_id" in said):
            return ""  # who keeps an answer, LiteLLM writes into its id
        if path == "chat/completions" and repaired(said):
            return ""
        for name, _ in scope["headers"]:
            if name.startswith(_HEADER) and name != _KEY:
                return ""
        return path

    async def _answer(
        self, asked: Asked, path: str, scope: Scope, receive: Receive, send: Send, *, alone: bool = False
    ) -> None:
        litellm = self._litellm
        this, scope = litellm.take(scope, receive)
        try:
            probe = probing.current.get()
            if probe is not None and probe.mode == probing.MOCK:
                await litellm.ask(this, scope, receive, send)
                return
            this.name = asked.model
            targets = await self._planner.plan(this, asked.said)
            targets = targets[:1] if alone else targets
            failure: Failed | None = None
            if targets and targets[0].is_direct(path):
                this.lane = call.DIRECT
                scope[STOPS_AT_ONCE] = True
                kind = header(scope, b"content-type")
                kind = kind if _form(kind) else JSON
                read = await receive()  # from here on it says when the client has left, which whoever queues asks
                request = Request(this, asked, path, kind, scope, self._origins.told(scope, send))
                targets, failure = await self._direct.answer(request, targets)
                if not targets:
                    return
                scope[STOPS_AT_ONCE] = False
                receive = replay(read.get("body", b""), receive)
                send = _unless_it_fails(request, failure)
                this.planned = [target.name for target in targets]
            elif this.rule is not None:  # its turn is taken
                this.planned = [target.name for target in targets]
            await litellm.ask(this, scope, receive, send)
        finally:
            litellm.over(this)


def _form(kind: bytes) -> bool:
    return kind[:33].lower().startswith((b"multipart/", b"application/x-www-form-urlencoded"))


def _unless_it_fails(request: Request, first: Failed | None) -> Send:
    """Whoever was asked first is who is told of when nobody answers."""
    if first is None:
        return request.send
    is_told = False

    async def send(message: Message) -> None:
        nonlocal is_told
        if message["type"] == "http.response.start" and message["status"] >= 400:
            is_told = True
            await refuse(request, first)
        elif not is_told:
            await request.send(message)

    return send
