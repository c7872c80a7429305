"""Run a mix of clients against one target until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import openai

from tests.load import clients
from tests.load.clients import Ask, Target
from tests.load.report import KindReport, LoadReport

STREAMING = frozenset({"stream", "openai_stream"})


@dataclass(frozen=True)
class Mix:
    """How many clients of each kind run at the same time, and how long each rests between two requests.

    ``idle`` clients hold one connection each and wake up at random, at most ``idle_seconds`` apart.
    """

    new_connection: int = 2
    keep_alive: int = 2
    openai: int = 1
    stream: int = 2
    openai_stream: int = 1
    idle: int = 4
    pause: float = 0.02
    idle_seconds: float = 30.0

    def clients(self) -> dict[str, int]:
        return {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.type == "int"}


def run(target: Target, stop: threading.Event, mix: Mix | None = None, report: LoadReport | None = None) -> LoadReport:
    """Ask until ``stop`` is set, let every client finish what it has begun, and return what they saw.

    Another thread may watch the numbers of a ``report`` it passes in grow.
    """
    report = report or LoadReport()
    asyncio.run(_run(target, stop, mix or Mix(), report))
    return report


class BackgroundLoad:
    """Load in a thread for the length of a ``with`` block; ``report`` grows meanwhile and is final afterwards."""

    def __init__(self, target: Target, mix: Mix | None = None) -> None:
        self.report = LoadReport()
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, args=(target, mix), name="load", daemon=True)

    def _work(self, target: Target, mix: Mix | None) -> None:
        try:
            run(target, self._stop, mix, self.report)
        except BaseException as error:
            self._error = error

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def __enter__(self) -> BackgroundLoad:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._error:
            raise self._error


async def _run(target: Target, stop: threading.Event, mix: Mix, report: LoadReport) -> None:
    began = time.monotonic()

    def saw(generation: str) -> None:
        report.generations[generation] += 1

    target = replace(target, saw_generation=saw)
    ended = asyncio.Event()
    async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        group.create_task(_watch(stop, ended))
        for kind, count in mix.clients().items():
            seen = report.kinds[kind] = KindReport(streams=kind in STREAMING)
            if kind == "idle":
                # One pool each: every one of them has exactly one connection that grows old.
                asks = [await _asker(kind, target, 1, stack) for _ in range(count)]
            else:
                asks = [await _asker(kind, target, count, stack)] * count if count else []
            for ask in asks:
                rest = partial(random.uniform, 0, mix.idle_seconds) if kind == "idle" else lambda: mix.pause
                group.create_task(_client(ask, target, seen, rest, ended))
    report.seconds = time.monotonic() - began


async def _asker(kind: str, target: Target, connections: int, stack: contextlib.AsyncExitStack) -> Ask:
    def enter(client: Any) -> Awaitable[Any]:
        return stack.enter_async_context(client)

    def http() -> Awaitable[Any]:
        return enter(clients.http_client(target, keep_alive=kind != "new_connection", connections=connections))

    def sdk() -> Awaitable[Any]:
        return enter(clients.openai_client(target, connections))

    match kind:
        case "openai":
            return partial(clients.ask_openai, await sdk(), target)
        case "openai_stream":
            return partial(clients.ask_openai_stream, await sdk(), target)
        case "stream":
            return partial(clients.ask_stream, await http(), target)
    return partial(clients.ask_http, await http(), target)


async def _client(
    ask: Ask, target: Target, report: KindReport, rest: Callable[[], float], ended: asyncio.Event
) -> None:
    while not ended.is_set():
        report.requests += 1
        try:
            await ask(report)
        except openai.APIStatusError as error:
            target.note(error.response.headers)
            report.failed(f"status {error.status_code}", str(error))
        except Exception as error:  # whatever it is, an answer it is not; a client that stopped asking would hide it
            report.failed(_name(error), f"{error!r} caused by {error.__cause__!r}")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), rest())


def _name(error: Exception) -> str:
    """What went wrong on the wire: the SDK calls a connection that was refused and one that broke the same."""
    if isinstance(error, openai.APIConnectionError) and error.__cause__ is not None:
        return type(error.__cause__).__name__
    return type(error).__name__


async def _watch(stop: threading.Event, ended: asyncio.Event) -> None:
    while not stop.is_set():
        await asyncio.sleep(0.05)
    ended.set()
