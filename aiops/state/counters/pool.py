"""Connections of one process to a Redis, and questions by them that nobody waits for longer than he said.

What the driver does around a command takes longer than most commands: connections are kept here, and each is told one
thing at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import sha1
from math import inf
from typing import Any

from aiops.state.counters import connections

LATE = 0.005  # seconds after its time that a timer of a process comes that had too much to do


class Script:
    """In Lua; Redis has it by its ``sha`` once it has been given the ``text``."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = sha1(text.encode(), usedforsecurity=False).hexdigest()


class Pool:
    """``url``, ``connect``, ``command`` and ``greet``: see ``connections``. ``errors``: what a question raises that
    Redis does not answer. How many there are is for who asks to bound, and so is the time of a question. Raises
    ``connections.BadUrl``."""

    def __init__(self, url: str, *, connect: float, command: float, greet: Callable[[Any], Awaitable[None]]) -> None:
        self._made, self.place = connections.factory(url, connect=connect, command=command, greet=greet)
        from redis.exceptions import NoScriptError, RedisError, ResponseError

        self.errors = RedisError, OSError  # as is a TimeoutError
        self._no_script, self._refusal = NoScriptError, ResponseError
        self._idle: list[Any] = []

    @property
    def has_idle(self) -> bool:
        """Whether the next question needs no new connection."""
        return bool(self._idle)

    async def evaluate(self, script: Script, *arguments: Any) -> Any:
        """What the script says. It makes up the names of its keys itself."""
        try:
            return await self.command("EVALSHA", script.sha, 0, *arguments)
        except self._no_script:
            return await self.command("EVAL", script.text, 0, *arguments)

    async def command(self, *words: Any) -> Any:
        connection = self._idle.pop() if self._idle else self._made()
        try:
            if not connection.is_connected or connection._reader.at_eof():  # Redis closed it while nobody asked
                await connection.disconnect(nowait=True)
                connecting = connections.CONNECTING.set(True)
                try:
                    await connection.connect()
                finally:
                    connections.CONNECTING.reset(connecting)
                connection.socket_timeout = None  # two more timers for each command: ours is around everything
            await connection.send_packed_command(connection.pack_command(*words), check_health=False)
            answer = await connection.read_response(timeout=inf)
        except self._refusal:
            self._idle.append(connection)
            raise
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        self._idle.append(connection)
        return answer

    async def hang_up(self) -> None:
        """Who knows where they lead: the next question has a new one."""
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.disconnect(nowait=True)


class Patience:
    """As ``asyncio.timeout``, in a third of its time. A process that is late itself has not looked yet whether there is
    an answer: it is given the time once more, and a busy machine is no outage."""

    __slots__ = ("_cancelled_before", "_due", "_is_over", "_loop", "_seconds", "_task", "_waiting")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._is_over = False

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._cancelled_before = task, task.cancelling()
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + self._seconds
        self._waiting: asyncio.Handle = self._loop.call_at(self._due, self._look)

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._waiting.cancel()
        if self._is_over and self._task.uncancel() <= self._cancelled_before and kind is asyncio.CancelledError:
            raise TimeoutError

    def _look(self) -> None:
        if self._loop.time() - self._due > LATE:
            self._waiting = self._loop.call_later(self._seconds, self._end)
        else:
            self._waiting = self._loop.call_soon(self._end)  # what came meanwhile is read first

    def _end(self) -> None:
        self._is_over = True
        self._task.cancel()
