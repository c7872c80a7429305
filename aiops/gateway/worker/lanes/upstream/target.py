"""Where a URL leads, and through which proxy."""

from __future__ import annotations

import os
from dataclasses import dataclass
from ssl import SSLContext
from urllib.parse import quote, urlsplit
from urllib.request import getproxies, proxy_bypass

from yarl import URL

from aiops.gateway.worker.lanes.upstream.trust import trusted

_SCHEMES = ("http", "https")
_AS_THEY_ARE = "/%:@!$&'()*+,;=~-._?"


@dataclass(frozen=True, slots=True)
class Target:
    """As aiohttp wants it. ``ssl``: True where there is no TLS."""

    url: URL
    proxy: URL | None
    ssl: SSLContext | bool


def target(url: str) -> Target:
    """Raises ValueError for what is no URL of http or https."""
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise ValueError("no URL of http or https")
    origin = URL(f"{parts.scheme}://{parts.netloc}").origin()
    asked = quote(parts.path or "/", safe=_AS_THEY_ARE)
    if parts.query:
        asked += f"?{quote(parts.query, safe=_AS_THEY_ARE)}"
    proxy = _proxy(parts.scheme, str(origin.raw_host))
    tls = "https" in (parts.scheme, proxy.scheme if proxy is not None else "")
    return Target(URL(f"{origin}{asked}", encoded=True), proxy, trusted() if tls else True)


def _proxy(scheme: str, host: str) -> URL | None:
    """What the environment says, as LiteLLM reads it."""
    found = {} if os.environ.get("DISABLE_AIOHTTP_TRUST_ENV", "").strip().lower() == "true" else getproxies()
    url = found.get(scheme) or found.get("all")
    if not url or proxy_bypass(host):
        return None
    proxy = URL(url if "://" in url else f"http://{url}")
    if proxy.scheme not in _SCHEMES or not proxy.raw_host:
        raise ValueError(f"a proxy of {proxy.scheme or 'no scheme'} is not supported; use http or https")
    return proxy
