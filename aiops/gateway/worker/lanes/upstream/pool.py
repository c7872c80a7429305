"""The connections to one origin: as many as there are requests, and those of the last seconds kept for the next."""

from __future__ import annotations

import asyncio
from typing import Final

from aiops.gateway.worker.lanes.upstream.answer import Answer
from aiops.gateway.worker.lanes.upstream.ask import Ask
from aiops.gateway.worker.lanes.upstream.connect import connect
from aiops.gateway.worker.lanes.upstream.connection import Connection
from aiops.gateway.worker.lanes.upstream.failed import BrokeOff
from aiops.gateway.worker.lanes.upstream.target import Origin

IDLE_SECONDS: Final = 4.0
"""The servers of llama.cpp, vLLM and uvicorn close a connection that was idle for five."""


class Pool:
    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._loop = asyncio.get_running_loop()
        self._idle: list[Connection] = []  # the last one used is the last
        self._sweeping: asyncio.TimerHandle | None = None
        self._closed = False

    async def answer(self, head: bytes, ask: Ask) -> Answer:
        """Once the head of the answer is there. Raises Refused, TimedOut, BrokeOff, Malformed."""
        kept = self._kept()
        if kept is not None:
            try:
                return await kept.ask(head, ask)
            except BrokeOff as broke:
                if broke.began:
                    raise
                # The provider closed it in the very moment in which it was used again: it has not seen the request.
        connection = await connect(self._origin, ask.connect, self._keep)
        return await connection.ask(head, ask)

    def close(self) -> None:
        """Those that are idle at once, the others after their answer."""
        self._closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        while self._idle:
            self._idle.pop().close()

    def _kept(self) -> Connection | None:
        oldest = self._loop.time() - IDLE_SECONDS
        while self._idle:
            connection = self._idle.pop()
            if connection.idle_since < oldest:
                connection.close()
            elif not connection.lost:
                return connection
        return None

    def _keep(self, connection: Connection) -> None:
        if self._closed:
            connection.close()
            return
        connection.idle_since = self._loop.time()
        self._idle.append(connection)
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(IDLE_SECONDS, self._sweep)

    def _sweep(self) -> None:
        self._sweeping = None
        now = self._loop.time()
        stale = [each for each in self._idle if each.lost or each.idle_since + IDLE_SECONDS <= now]
        self._idle = [each for each in self._idle if each not in stale]
        for each in stale:
            each.close()
        if self._idle:
            self._sweeping = self._loop.call_later(self._idle[0].idle_since + IDLE_SECONDS - now, self._sweep)
