"""Answers that are given again, in front of LiteLLM's application and behind every check: whoever gets one has been let
in, and is counted as a request that used nothing."""

from __future__ import annotations

import asyncio
from typing import Protocol

import orjson

from aiops.gateway.worker.call import State, current
from aiops.gateway.worker.front.asgi import Application, Headers, Message, Receive, Scope, Send
from aiops.gateway.worker.front.asked import Asked
from aiops.gateway.worker.front.cached.question import Question, Routes, question
from aiops.gateway.worker.front.metering import Metering
from aiops.gateway.worker.front.once.recording import Answer, Recording
from aiops.gateway.worker.front.passage import is_last
from aiops.state.shapes import Identity

KEY, CACHE = b"x-litellm-cache-key", b"x-cache"  # LiteLLM's own header, and everybody's
AT_ONCE = 64  # answers on their way to where they are kept
# What it cost and how long it took is not so any more.
_PASSED = (b"x-litellm-response-cost", b"x-litellm-call-id", b"x-litellm-key-spend")
_ENDING = b"-duration-ms"


class Store(Protocol):
    """Neither raises, nor keeps anybody waiting."""

    async def get(self, name: str) -> bytes | None: ...

    async def put(self, name: str, answer: bytes) -> None: ...


class Cache:
    """One per worker."""

    def __init__(self, store: Store, routes: Routes) -> None:
        self.hits = 0
        self._store = store
        self._routes = routes
        self._keeping: set[asyncio.Task[None]] = set()

    def question(self, scope: Scope, identity: Identity, asked: Asked) -> Question | None:
        """What is asked; None: it is not answered twice."""
        return question(scope, identity, asked, self._routes)

    def before(self, app: Application, asks: Question, metering: Metering) -> Application:
        """An application that answers in the place of ``app`` when it can, and says so in ``metering``."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            found = await self._look(asks) if asks.looks else None
            if found is not None:
                self.hits += 1
                metering.cached = True
                await found.send(send, [(CACHE, b"hit"), (KEY, asks.name.encode())])
                return

            async def pass_on(message: Message) -> None:
                if message["type"] == "http.response.start":
                    message["headers"] = [*message.get("headers", ()), (CACHE, b"miss")]
                await send(message)

            recording = Recording(receive, pass_on)
            await app(scope, receive, recording.send)
            if _is_well(recording):
                self._keep(asks, recording.answer())

        return answer

    async def leave(self) -> None:
        for task in self._keeping:
            task.cancel()

    async def _look(self, asks: Question) -> Answer | None:
        raw = await self._store.get(asks.name)
        try:
            stored = orjson.loads(raw) if raw is not None else None
            return Answer.of(int(stored["status"]), stored) if stored is not None else None
        except (ValueError, KeyError, TypeError):  # of another version
            return None

    def _keep(self, asks: Question, answer: Answer | None) -> None:
        """In the background: nobody waits for it."""
        if answer is None or len(self._keeping) >= AT_ONCE or (answer.streams and not is_last(answer.body)):
            return
        kept = Answer(answer.status, tuple(_lasting(answer.headers)), answer.body)
        task = asyncio.create_task(self._store.put(asks.name, orjson.dumps({"status": kept.status, **kept.plain()})))
        self._keeping.add(task)
        task.add_done_callback(self._keeping.discard)


def _is_well(recording: Recording) -> bool:
    """Whether it is an answer, whole, and of whom was asked: a fallback's would outlast its reason."""
    call = current.get()
    return recording.well and (call is None or (call.state is not State.FAILED and not call.fallbacks))


def _lasting(headers: tuple[tuple[bytes, bytes], ...]) -> Headers:
    return [pair for pair in headers if not pair[0].startswith(_PASSED) and not pair[0].endswith(_ENDING)]
