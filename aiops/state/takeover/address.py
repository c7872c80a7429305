"""Where LiteLLM's database is: its URL is for the engine that LiteLLM downloads, and ours is libpq. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

_SCHEMES = ("postgres", "postgresql")
# What Prisma's engine alone understands: https://www.prisma.io/docs/orm/overview/databases/postgresql#arguments
_ENGINE_ONLY = frozenset(
    [
        "connection_limit",
        "pool_timeout",
        "socket_timeout",
        "pgbouncer",
        "statement_cache_size",
        "sslidentity",
        "sslpassword",
        "sslaccept",
        "max_connection_lifetime",
        "max_idle_connection_lifetime",
        "single_use_connections",
    ]
)
_SCHEMA = "public"


@dataclass(frozen=True)
class Address:
    """``parameters``: for libpq, the password among them. ``shown``: ``host:port/database``, and the schema when it is
    another than ``public``."""

    parameters: Mapping[str, str] = field(repr=False)
    schema: str
    shown: str


def has_password(url: str) -> bool:
    """Also in the options, where libpq takes one too."""
    try:
        parts = urlsplit(url)
        return bool(parts.password) or any(
            name in ("password", "sslpassword") and value for name, value in parse_qsl(parts.query)
        )
    except ValueError:
        return ":" in url.rpartition("@")[0].partition("://")[2]


def parse(url: str) -> Address:
    """Raises ValueError, which never repeats the URL."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise ValueError("it cannot be read; signs such as / # ? @ in a password are written %2F %23 %3F %40") from None
    if parts.scheme not in _SCHEMES:
        raise ValueError("it does not begin with postgresql://")
    database = unquote(parts.path.lstrip("/"))
    if not database:
        raise ValueError("it names no database; write postgresql://USER@HOST:PORT/DATABASE")
    options = dict(parse_qsl(parts.query))
    schema = options.pop("schema", _SCHEMA)
    own = {name: value for name, value in options.items() if name not in _ENGINE_ONLY}
    if "sslcert" in own and "sslkey" not in own:  # the engine's word for whom to trust
        own.setdefault("sslrootcert", own.pop("sslcert"))
    host = unquote(parts.hostname or own.pop("host", "") or "localhost")
    parameters = {"host": host, "dbname": database, **own}
    for name, value in (("port", port), ("user", parts.username), ("password", parts.password)):
        if value:
            parameters[name] = unquote(str(value))
    shown = f"{host}:{parameters.get('port', '5432')}/{database}"
    return Address(parameters, schema, shown if schema == _SCHEMA else f"{shown} (schema {schema})")
