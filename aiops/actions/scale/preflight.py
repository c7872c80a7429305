"""Whether a Postgres and a Redis are fit for several gateways: looked at before anything is touched, all at once."""

from __future__ import annotations

import asyncio
import ipaddress
import stat
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, text

from aiops.actions.instance.heeded import LIVE_SECONDS
from aiops.errors import AiopsError
from aiops.state.counters import connections
from aiops.state.counters.redis import OLDEST as OLDEST_REDIS
from aiops.state.store import clock, open, replicas, schema

OLDEST_POSTGRES = 14
CONNECTIONS = 5  # of one gateway
GENERATIONS = 2  # of it at once, while one gives way to the next
SKEW_SECONDS = 2.0
SLOW_MS, TOO_SLOW_MS = 5.0, 100.0  # a round trip: Redis is asked by every request with a limit
PATIENCE_SECONDS = 2.0
ASKED = 5


@dataclass
class Fitness:
    """``problems``: with any of them it is not done. ``notes``: for people to know."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


def read_url(file: Path, what: str, found: Fitness) -> str | None:
    """Of a file that only its owner may read."""
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
        url = file.read_text().strip()
    except OSError as error:
        found.problems.append(f"{file}: {error.strerror}: it is to hold the URL of {what}")
        return None
    except UnicodeDecodeError:
        url = ""
    if mode & 0o077:
        found.problems.append(f"{file} is open to others (mode {mode:o}): `chmod 600 {file}`")
    if not url or "\n" in url:
        found.problems.append(f"{file} is to hold the URL of {what} and nothing else")
        return None
    return url


def look(database_url: str | None, redis_url: str | None, *, strict: bool) -> Fitness:
    """``strict``: what is sent without TLS to another machine is a problem, and not a note."""
    found = Fitness()
    if database_url is not None:
        _postgres(database_url, strict, found)
    if redis_url is not None:
        try:
            asyncio.run(_redis(redis_url, strict, found))
        except ValueError as error:
            found.problems.append(str(error))
    return found


def _postgres(url: str, strict: bool, found: Fitness) -> None:
    try:
        engine = open.engine(url, connections=1)
    except ValueError as error:
        found.problems.append(str(error))
        return
    try:
        with open.reading(engine) as connection:
            _examine_postgres(connection, open.place(url), strict, found)
    except (AiopsError, ValueError) as error:
        hint = error.hint if isinstance(error, AiopsError) else ""
        found.problems.append(f"PostgreSQL: {error}{f' ({hint})' if hint else ''}")
    finally:
        engine.dispose()


def _examine_postgres(connection: Connection, place: str, strict: bool, found: Fitness) -> None:
    version = int(connection.scalar(text("SELECT current_setting('server_version_num')::int")) or 0)
    shown = connection.scalar(text("SHOW server_version"))
    latency = _latency(lambda: connection.scalar(text("SELECT 1")))
    found.lines.append(f"PostgreSQL {shown} at {place}, {latency:.1f} ms away")
    _judge(found, "PostgreSQL", latency)
    if version < OLDEST_POSTGRES * 10_000:
        found.problems.append(f"this is PostgreSQL {shown}, and {OLDEST_POSTGRES} or later is needed")
    raw: Any = connection.connection.dbapi_connection
    if not raw.pgconn.ssl_in_use and not _is_near(str(raw.info.host)):
        _without_tls(found, "PostgreSQL", "sslmode=verify-full in the URL", strict)
    # Its standbys are read-only, and so is a server that was made so.
    if connection.scalar(text("SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool")):
        found.problems.append("PostgreSQL takes no writes here: name the primary in the URL")
    _skew(found, "PostgreSQL", clock.read(connection) / clock.SECOND)
    state = schema.state_on(connection)
    others = 0
    if state == schema.Behind(0):
        found.lines.append(f"its tables will be made (schema {schema.OURS})")
        may = "SELECT has_schema_privilege(current_user, current_schema(), 'CREATE')"
        if not connection.scalar(text(may)):
            found.problems.append(
                "PostgreSQL: this user may not make tables: run `aiops database migrate` as one who may, or"
                " `GRANT CREATE ON SCHEMA public TO` the user"
            )
    else:
        others = len(replicas.live(connection, LIVE_SECONDS))
        found.lines.append(f"{others} other gateway{' uses' if others == 1 else 's use'} it")
    if isinstance(state, schema.Ahead) and not state.readable:
        found.problems.append(f"PostgreSQL has schema {state.revision} of a newer aiops: `aiops upgrade` here first")
    needed = CONNECTIONS * (others + 1) * GENERATIONS
    settings = "current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
    free = connection.scalar(
        text(f"SELECT {settings} - count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")  # noqa: S608
    )
    if int(free or 0) < needed:
        need = f"{others + 1} gateways need" if others else "one gateway needs"
        found.problems.append(
            f"PostgreSQL has {free} connections left, and {need} up to {needed}"
            f" ({CONNECTIONS} each, for two generations): raise max_connections"
        )


async def _redis(url: str, strict: bool, found: Fitness) -> None:
    from redis.exceptions import RedisError

    async def greet(connection: Any) -> None:
        await connection.on_connect()

    make, place = connections.factory(url, connect=PATIENCE_SECONDS, command=PATIENCE_SECONDS, greet=greet)
    connection = make()

    async def ask(*words: str) -> Any:
        await connection.send_command(*words)
        return await connection.read_response()

    try:
        await connection.connect()
        said = dict(line.split(":", 1) for line in (await ask("INFO")).decode().splitlines() if ":" in line)
        times = []
        for _ in range(ASKED):
            began = time.perf_counter()
            await ask("PING")
            times.append((time.perf_counter() - began) * 1000)
        seconds, micros = await ask("TIME")
    except (RedisError, OSError, TimeoutError) as error:
        found.problems.append(f"{place} cannot be used: {error} (is it running, and are address and password right?)")
        return
    finally:
        await connection.disconnect(nowait=True)
    version, latency = said.get("redis_version", "0"), statistics.median(times)
    found.lines.append(f"Redis {version} at {place.removeprefix('Redis at ')}, {latency:.1f} ms away")
    _judge(found, "Redis", latency)
    if int(version.split(".")[0]) < OLDEST_REDIS:
        found.problems.append(f"this is Redis {version}, and {OLDEST_REDIS} or later is needed")
    if said.get("cluster_enabled") == "1":
        found.problems.append("this Redis is a cluster: one with replicas and Sentinel is what is needed")
    if said.get("maxmemory_policy", "noeviction") != "noeviction":
        found.problems.append(
            f"this Redis throws keys away when it is full (maxmemory-policy {said['maxmemory_policy']}), and limits"
            " with them: `CONFIG SET maxmemory-policy noeviction`, and in its configuration"
        )
    parts = urlsplit(url)
    near = parts.scheme == "unix" or all(_is_near(each.rpartition(":")[0] or each) for each in _hosts(parts.netloc))
    if not near and not parts.scheme.startswith("rediss"):
        _without_tls(found, "Redis", "rediss:// in the URL", strict)
    if "@" not in parts.netloc and parts.scheme != "unix":
        text_ = "this Redis asks for no password: set `requirepass`, and write redis://:PASSWORD@HOST:PORT"
        (found.notes if near and not strict else found.problems).append(text_)
    _skew(found, "Redis", int(seconds) + int(micros) / 1e6)


def _hosts(netloc: str) -> list[str]:
    return netloc.rpartition("@")[2].split(",")


def _is_near(host: str) -> bool:
    """This machine: loopback, or a socket in the file system."""
    host = host.strip("[]")
    if host.startswith(("/", "@")) or host in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _without_tls(found: Fitness, what: str, how: str, strict: bool) -> None:
    line = f"{what} is on another machine, and passwords and keys would go there unencrypted: {how}"
    (found.problems if strict else found.notes).append(line)


def _skew(found: Fitness, what: str, there: float) -> None:
    skew = there - time.time()
    if abs(skew) > SKEW_SECONDS:
        way = "ahead of" if skew > 0 else "behind"
        found.problems.append(f"the clock of {what} is {abs(skew):.1f} s {way} this one: set both by NTP")


def _judge(found: Fitness, what: str, ms: float) -> None:
    if ms > TOO_SLOW_MS:
        found.problems.append(f"{what} is {ms:.0f} ms away: gateways and their stores belong into one place")
    elif ms > SLOW_MS:
        found.notes.append(f"{what} is {ms:.0f} ms away, which every request with a limit waits for")


def _latency(ask: Callable[[], object]) -> float:
    """Milliseconds, the median of a few."""
    return statistics.median(_timed(ask, ASKED))


def _timed(ask: Callable[[], object], times: int) -> Iterable[float]:
    for _ in range(times):
        began = time.perf_counter()
        ask()
        yield (time.perf_counter() - began) * 1000
