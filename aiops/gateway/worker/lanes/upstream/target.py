"""Where a URL leads: the place to connect to, and how a request to it begins."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

_PORTS = {"http": 80, "https": 443}
_AS_THEY_ARE = "/%:@!$&'()*+,;=~-._?"


@dataclass(frozen=True, slots=True)
class Proxy:
    """Connects in our place. ``credentials``: the line of a header with them, or nothing."""

    host: str
    port: int
    tls: bool
    credentials: bytes


@dataclass(frozen=True, slots=True)
class Origin:
    """Connections to one may be used for all requests to it."""

    host: str
    port: int
    tls: bool
    proxy: Proxy | None

    @property
    def authority(self) -> str:
        """As ``Host`` has it, always with the port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Target:
    """``start``: the request line, ``host``, and what a proxy wants to know."""

    origin: Origin
    start: bytes


def target(method: str, url: str) -> Target:
    """Raises ValueError for what is no URL of http or https."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("no URL of http or https")
    host = _ascii(parts.hostname)
    proxy = _proxy(parts.scheme, host)
    origin = Origin(host, parts.port or _PORTS[parts.scheme], parts.scheme == "https", proxy)
    asked = quote(parts.path or "/", safe=_AS_THEY_ARE) + (
        f"?{quote(parts.query, safe=_AS_THEY_ARE)}" * bool(parts.query)
    )
    name = origin.authority if parts.port else origin.authority.rpartition(":")[0]
    start = f"{method} {{}}{asked} HTTP/1.1\r\nhost: {name}\r\n"
    if proxy is None or origin.tls:  # in a tunnel the proxy sees nothing
        return Target(origin, start.format("").encode("ascii"))
    return Target(origin, start.format(f"http://{name}").encode("ascii") + proxy.credentials)


def _proxy(scheme: str, host: str) -> Proxy | None:
    """What the environment says, as LiteLLM reads it."""
    found = {} if os.environ.get("DISABLE_AIOHTTP_TRUST_ENV", "").strip().lower() == "true" else getproxies()
    url = found.get(scheme) or found.get("all")
    if not url or proxy_bypass(host):
        return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f"a proxy of {parts.scheme or 'no scheme'} is not supported; use http or https")
    return Proxy(
        _ascii(parts.hostname), parts.port or _PORTS[parts.scheme], parts.scheme == "https", _credentials(parts)
    )


def _credentials(parts: SplitResult) -> bytes:
    if parts.username is None:
        return b""
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return b"proxy-authorization: Basic " + base64.b64encode(pair) + b"\r\n"


def _ascii(host: str) -> str:
    return host if host.isascii() else host.encode("idna").decode("ascii")
