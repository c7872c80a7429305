"""Which provider a name means: another gateway's provider of the same name may be another server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiops.spec.shapes.urls import is_loopback
from aiops.state.boot import boot

_HERE = ("host.docker.internal", "host.containers.internal")


def places(models: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """What each provider is called where others listen; ``models``: as LiteLLM's configuration lists them. An address
    that means something on this machine alone (loopback, a name without a dot) is told from that of every other."""
    bases: dict[str, set[str]] = {}
    for model in models:
        provider = (model.get("model_info") or {}).get("provider")
        if provider:
            base = model["litellm_params"].get("api_base") or ""
            bases.setdefault(provider, set()).add(urlsplit(str(base)).netloc)
    return {provider: f"{provider} {_digest(provider, sorted(found))}" for provider, found in bases.items()}


def _digest(provider: str, bases: list[str]) -> str:
    here = machine() if any(is_here(base) for base in bases) else ""
    return blake2b("|".join((provider, *bases, here)).encode(), digest_size=6).hexdigest()


def is_here(netloc: str) -> bool:
    """Whether an address may lead somewhere else from another machine."""
    host = urlsplit(f"//{netloc}").hostname or ""
    return bool(host) and (is_loopback(host) or host in _HERE or ("." not in host and ":" not in host))


def machine() -> str:
    """The same for all processes that have the same loopback."""
    try:
        network = Path("/proc/self/ns/net").stat().st_ino
    except OSError:
        network = 0
    return f"{boot()} {network}"
