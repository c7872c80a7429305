"""Connections to Redis with time-outs that nothing can drop: ``redis://``, ``rediss://`` (TLS), ``unix://`` and
``redis+sentinel://[:password@]host[:port],host[:port]/name[/db]`` (``rediss+sentinel://``: the master with TLS)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any
from urllib.parse import unquote, urlsplit

SENTINEL_PORT = 26379
CONNECTING: ContextVar[bool] = ContextVar("CONNECTING", default=False)
"""True in who connects to Redis now, wherever sentinels say that it is: for guards of what else may connect to."""


class BadUrl(ValueError):
    """The message never has the password in it."""


def factory(
    url: str, *, connect: float, command: float, greet: Callable[[Any], Awaitable[None]]
) -> tuple[Callable[[], Any], str]:
    """What makes connections, each greeted before its first use; and the place they lead to, for people. ``connect``
    and ``command``: seconds. Raises BadUrl."""
    from redis.asyncio.connection import ConnectionPool, parse_url
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    ours: dict[str, Any] = {
        "socket_connect_timeout": connect, "socket_timeout": command, "retry": Retry(NoBackoff(), 0),
        "retry_on_error": [], "health_check_interval": 0, "protocol": 2, "driver_info": None,
        "decode_responses": False,
    }  # fmt: skip
    scheme = url.partition("://")[0]
    if scheme in ("redis+sentinel", "rediss+sentinel"):
        made, place = _sentinels(url, ours, greet)
    else:
        try:
            options: dict[str, Any] = {**parse_url(url), **ours}  # whatever the URL says of time-outs, these hold
        except ValueError as error:
            raise BadUrl(
                "the URL of Redis has to begin with redis://, rediss://, unix:// or redis+sentinel://"
            ) from error
        place = "Redis at " + (options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}")
        made = ConnectionPool(redis_connect_func=greet, **options)
    probe = made.make_connection()
    if (probe.socket_connect_timeout, probe.socket_timeout) != (connect, command) or probe.retry.get_retries() != 0:
        raise AssertionError("the driver dropped the time-outs: every request would hang with Redis")
    return made.make_connection, place


def _sentinels(url: str, ours: dict[str, Any], greet: Callable[[Any], Awaitable[None]]) -> tuple[Any, str]:
    from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool

    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    name, _, db = parts.path.strip("/").partition("/")
    if not name or not hosts:
        raise BadUrl("write redis+sentinel://host1,host2/name-of-the-master")
    sentinels = []
    for host in hosts.split(","):
        where, _, port = host.rpartition(":") if ":" in host else (host, "", "")
        if port and not port.isdigit():
            raise BadUrl(f"`{port}` is no port: write redis+sentinel://host1:26379,host2:26379/name-of-the-master")
        sentinels.append((where, int(port or SENTINEL_PORT)))
    user, _, password = credentials.partition(":")
    options = dict(ours)
    if password:
        options["password"] = unquote(password)
    if user:
        options["username"] = unquote(user)
    make_sentinel: Any = Sentinel  # the driver has no types for these
    make_pool: Any = SentinelConnectionPool
    asked = make_sentinel(sentinels, sentinel_kwargs=dict(ours))
    made = make_pool(
        name, asked, redis_connect_func=greet, db=int(db or 0),
        ssl=parts.scheme.startswith("rediss"), **options,
    )  # fmt: skip
    return made, f"Redis `{name}` of the sentinels {hosts}"
