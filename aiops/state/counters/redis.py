"""Counters that all replicas share: Redis 6 or later, one script for each decision (``lua/``), on Redis' own clock.

One Redis with its replicas, no cluster: the scripts make up the names of their keys. Each key ends by itself some time
after its meaning. Every connection is greeted: when Redis was started anew or another one has taken over, what it has
may be older than what it has said, so a new epoch begins, and the ledger says what was spent.

Whoever asks waits for ``seconds`` at most and gets ``Unavailable``; nothing is retried, for a question that timed out
may have had its effect. What a reservation without an answer may hold is given back by voiding its id later.
"""

from __future__ import annotations

import asyncio
import secrets
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aiops.state.counters.breaker import Breaker
from aiops.state.counters.kinds import CODES
from aiops.state.counters.meters import (
    Decision,
    Demand,
    Granted,
    Level,
    Meter,
    Refused,
    Settled,
    Unavailable,
    Unseeded,
)
from aiops.state.counters.pool import Patience, Pool, Script
from aiops.state.counters.sliding import SECOND

SECONDS = 0.05
CONNECTIONS = 32  # of one process
OLDEST = 6
CONNECTING = 4  # times as long as a question: a connection takes four of them
PATIENCE = 1.0  # seconds of a probe, which nobody waits for

_METER = struct.Struct("<BBqqqq")
_LEVEL = struct.Struct("<qqq")
_OVER = struct.Struct("<Bqqq")
_EPOCH = slice(1, 33)


class Redis:
    """``url``: see ``connections``. ``prefix``: of all keys. ``connect`` and ``command``: seconds; no question takes
    longer than both allow. ``say`` hears one line when Redis is lost, and one when it is back. ``clock``: for tests,
    microseconds; else Redis' own. Raises ``connections.BadUrl``."""

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "aiops:",
        connect: float = SECONDS,
        command: float = SECONDS,
        say: Callable[[str], None] = lambda line: None,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self._pool = Pool(
            # The driver's own are for what nobody waits for any more: ours know when it is us who are late.
            url, connect=CONNECTING * connect, command=CONNECTING * command, greet=self._greet,
        )  # fmt: skip
        self._place, self._errors = self._pool.place, self._pool.errors
        self._reserve, self._end, self._keep, self._exchange = map(_script, ("reserve", "end", "keep", "exchange"))
        self._prefix, self._clock, self._seconds = prefix, clock, max(connect, command)
        self._room = asyncio.Semaphore(CONNECTIONS)
        self._run = ""
        self._version = ""
        self._sweeping: dict[str, int] = {}
        self.breaker = Breaker(self._place, self._probe, say)

    def __str__(self) -> str:
        """Which one and where, for people; its version once it has answered."""
        return self._place.replace("Redis", f"Redis {self._version}".strip(), 1)

    async def close(self) -> None:
        await self.breaker.close()
        await self._pool.hang_up()

    async def begin_epoch(self) -> None:
        """Forget everything: the ledger has what these counters have not seen. For all who use this Redis."""
        for run in (secrets.token_hex(16), ""):  # as if it had been another Redis for a moment
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._evaluate(self._keep, ("hello", run or self._run, secrets.token_hex(16)))
            except self._errors as error:
                raise Unavailable(f"{self._place}: {error}") from error

    async def epoch(self) -> str:
        epoch: bytes = (await self._ask(self._keep, "epoch"))[1]
        return epoch.decode()

    async def reserve(self, demand: Demand) -> Decision:
        answer = await self._ask(
            self._reserve, demand.id, demand.owner, max(0, demand.tokens), max(0, demand.cost),
            int(demand.seconds * SECOND), _packed(demand.meters),
        )  # fmt: skip
        return _decision(answer, demand.meters)

    async def settle(self, id: str, tokens: int, cost: int) -> Settled:
        what, epoch = await self._ask(self._end, "settle", id, tokens, cost)
        return Settled(epoch.decode() if what >= 0 else "", what == 1)

    async def void(self, id: str) -> bool:
        return bool((await self._ask(self._end, "void", id))[0])

    async def post(self, id: str, costs: Mapping[str, int], ends: Mapping[str, int | None]) -> bool:
        return bool((await self._ask(self._end, "post", id, *_triples(costs, ends)))[0])

    async def seed(self, meters: Mapping[str, int], ends: Mapping[str, int | None], epoch: str = "") -> None:
        await self._ask(self._keep, "seed", epoch, *_triples(meters, ends))

    async def gone(self, owner: str) -> None:
        await self._ask(self._keep, "gone", owner)

    async def levels(self, meters: Sequence[Meter]) -> tuple[Level, ...]:
        return _levels(await self._ask(self._reserve, "", "", 0, 0, 0, _packed(meters)), 33, meters)

    async def alive(self, owner: str) -> None:
        old = (await self._ask(self._keep, "alive", owner))[0]
        if old:
            try:
                async with asyncio.timeout(self._seconds):
                    await self._forget_some()
            except self._errors:
                return  # the next sign of life goes on with it

    async def exchange(self, replica: str, said: bytes, seconds: float) -> list[tuple[float, bytes]]:
        """Say something to the other gateways, for so many seconds; returns what they have said, and how many seconds
        ago. Counts nothing. Raises Unavailable."""
        heard = await self._ask(self._exchange, replica, said, int(seconds * 1000))
        return [(int(ago) / SECOND, text) for ago, text in zip(heard[::2], heard[1::2], strict=True)]

    async def _ask(self, script: Script, *arguments: Any) -> Any:
        self.breaker.check()
        await self._wait_for_room()
        try:
            self.breaker.check()  # it may have been found out meanwhile
            async with Patience(self._seconds if self._pool.has_idle else CONNECTING * self._seconds):
                answer = await self._evaluate(script, arguments)
                if answer == b"!" or answer == [b"!"]:  # everything was deleted
                    await self._evaluate(self._keep, ("hello", self._run, secrets.token_hex(16)))
                    answer = await self._evaluate(script, arguments)
                return answer
        except self._errors as error:
            why = f"no answer within {self._seconds * 1000:g} ms" if isinstance(error, TimeoutError) else str(error)
            await self._pool.hang_up()  # it may no longer be the master
            self.breaker.failed(why)
            raise Unavailable(f"{self._place}: {why}") from error
        finally:
            self._room.release()

    async def _wait_for_room(self) -> None:
        if not self._room.locked():
            await self._room.acquire()
            return
        try:
            async with asyncio.timeout(self._seconds):
                await self._room.acquire()
        except TimeoutError:
            self.breaker.check()
            raise Unavailable("more is asked of Redis than it answers", asked=False) from None  # no outage

    async def _evaluate(self, script: Script, arguments: Sequence[Any]) -> Any:
        now = "" if self._clock is None else self._clock()
        return await self._pool.evaluate(script, self._prefix, now, *arguments)

    async def _greet(self, connection: Any) -> None:
        """Raises a Redis error, which the driver closes the connection for."""
        from redis.exceptions import ConnectionError

        await connection.on_connect()
        await connection.send_command("INFO", "server", check_health=False)
        said = dict(
            line.split(":", 1) for line in (await connection.read_response()).decode().splitlines() if ":" in line
        )
        version, run = said.get("redis_version", "0"), said.get("run_id", "")
        if int(version.split(".")[0]) < OLDEST:
            raise ConnectionError(f"this is Redis {version}, and {OLDEST} or later is needed")
        now = "" if self._clock is None else self._clock()
        hello = ("hello", run, secrets.token_hex(16))
        await connection.send_command("EVAL", self._keep.text, 0, self._prefix, now, *hello, check_health=False)
        await connection.read_response()
        self._run, self._version = run, version

    async def _probe(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._pool.hang_up()  # who knows where they lead
                await self._evaluate(self._keep, ("epoch",))
        except self._errors as error:
            raise Unavailable(str(error) or "no answer") from error

    async def _forget_some(self) -> None:
        """Keys of an epoch of the past: a few at a time."""
        old = (await self._pool.command("LINDEX", f"{self._prefix}old", 0)) or b""
        epoch = old.decode()
        if not epoch:
            return
        pattern = f"{_literal(self._prefix)}{epoch}:*"
        place, keys = await self._pool.command("SCAN", self._sweeping.get(epoch, 0), "MATCH", pattern, "COUNT", 500)
        if keys:
            await self._pool.command("UNLINK", *keys)
        self._sweeping = {epoch: int(place)}
        if not int(place):
            await self._pool.command("LREM", f"{self._prefix}old", 0, epoch)


def _script(name: str) -> Script:
    folder = Path(__file__).parent / "lua"
    return Script((folder / "common.lua").read_text() + (folder / f"{name}.lua").read_text())


def _literal(text: str) -> str:
    return "".join(f"\\{each}" if each in "*?[]\\" else each for each in text)


def _packed(meters: Sequence[Meter]) -> bytes:
    return b"".join(
        _METER.pack(CODES[meter.what], meter.shadow, meter.limit, meter.known_from, meter.ends or 0, meter.base)
        + meter.name.encode()
        + b"\0"
        for meter in meters
    )


def _triples(amounts: Mapping[str, int], ends: Mapping[str, int | None]) -> list[str | int]:
    said: list[str | int] = []
    for name, amount in amounts.items():
        said += (name, amount, ends.get(name) or 0)
    return said


def _levels(answer: bytes, start: int, meters: Sequence[Meter]) -> tuple[Level, ...]:
    fields = _LEVEL.iter_unpack(answer[start : start + _LEVEL.size * len(meters)])
    return tuple([_level(meter, *each) for meter, each in zip(meters, fields, strict=True)])


def _level(meter: Meter, used: int, reserved: int, resets: int) -> Level:
    return Level(meter, used, reserved, None if resets < 0 else resets / SECOND)


def _decision(answer: bytes, meters: Sequence[Meter]) -> Decision:
    kind = answer[:1]
    if kind == b"G":
        levels = _levels(answer, 33, meters)
        rest = _OVER.iter_unpack(answer[33 + _LEVEL.size * len(meters) :])
        over = tuple([_level(meters[index], *fields) for index, *fields in rest])
        return Granted(answer[_EPOCH].decode(), levels, over)
    if kind == b"U":
        return Unseeded(tuple(meters[index] for index in answer[33:]), answer[_EPOCH].decode())
    first, for_good, wait = struct.unpack_from("<BBq", answer, 1)
    levels = _levels(answer, 11, meters)
    return Refused(levels[first], None if wait < 0 else wait / SECOND, bool(for_good), levels)
