"""The original file with every provider's address pointed at a double, and without what calls anybody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from aiops.importing.keys import read_url
from aiops.spec.shapes.options import referred
from aiops.spec.shapes.urls import expand
from aiops.spec.yaml.yaml12 import Document
from aiops.spec.yaml.yaml_text import block

# Who else LiteLLM would talk to, or keep things at; none of it decides what a provider is asked.
_ELSEWHERE = {
    "litellm_settings": (
        *("callbacks", "success_callback", "failure_callback", "service_callback", "cache", "cache_params"),
    ),
    "router_settings": ("redis_host", "redis_port", "redis_password", "redis_url", "redis_db", "cache_kwargs"),
    "general_settings": (
        *("database_url", "store_model_in_db", "alerting", "slack_alerting", "coordination_redis", "custom_auth"),
        *("background_health_checks", "master_key"),
    ),
}
_ROOTS = {"ollama": "http://localhost:11434", "ollama_chat": "http://localhost:11434"}
_SERVICES = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}


@dataclass(frozen=True)
class Asked:
    """One public name. ``lines``: where its deployments stand; ``mode``: as written, or None."""

    name: str
    lines: tuple[int, ...]
    mode: str | None
    models: tuple[str, ...]


@dataclass
class Redirected:
    """``content``: the file for both sides. ``environment``: what it refers to, made up where nothing is known.

    ``left_out``: names that could only be asked at an address that nobody can point elsewhere, with the line.
    """

    content: bytes = b""
    names: list[Asked] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    left_out: list[tuple[str, int]] = field(default_factory=list)


def redirect(document: Document, env: Mapping[str, str], address: Callable[[str], str], key: str) -> Redirected:
    """Given the original and where the double of an origin is, the file that both gateways are started with."""
    made = Redirected()
    data: dict[str, Any] = dict(document.data)
    kept: list[dict[str, Any]] = []
    names: dict[str, list[tuple[int, Mapping[str, Any], str]]] = {}
    for index, item in enumerate(data.get("model_list") or ()):
        params = item.get("litellm_params") if isinstance(item, Mapping) else None
        if not isinstance(params, Mapping) or not isinstance(params.get("model"), str):
            continue
        name, line = str(item.get("model_name")), document.line(("model_list", index))
        pointed = _pointed(params, env, address)
        if pointed is None:
            made.left_out.append((name, line))
            continue
        kept.append({**item, "litellm_params": pointed})
        info = item.get("model_info")
        names.setdefault(name, []).append((line, info if isinstance(info, Mapping) else {}, params["model"]))
    data["model_list"] = tuple(kept)
    for section, unwanted in _ELSEWHERE.items():
        if isinstance(data.get(section), Mapping):
            data[section] = {name: value for name, value in data[section].items() if name not in unwanted}
    data["general_settings"] = {**data.get("general_settings", {}), "master_key": key}
    for name, found in names.items():
        mode = next((str(info["mode"]) for _, info, _ in found if info.get("mode")), None)
        made.names.append(Asked(name, tuple(line for line, _, _ in found), mode, tuple(each for _, _, each in found)))
    made.environment = {name: env.get(name) or f"made-up-{name.lower()}" for name in _variables(data)}
    made.content = block(data).encode()
    return made


def _pointed(params: Mapping[str, Any], env: Mapping[str, str], address: Callable[[str], str]) -> dict[str, Any] | None:
    key = "base_url" if "base_url" in params and "api_base" not in params else "api_base"
    prefix = str(params["model"]).partition("/")[0]
    written = params.get(key) or _ROOTS.get(prefix) or _SERVICES.get(prefix)
    if not isinstance(written, str):
        return None
    url, missing = expand(read_url(written), env)
    parts = urlsplit(url)
    if missing or not parts.hostname:
        return None
    there = address(f"{parts.scheme}://{parts.netloc}")
    query = f"?{parts.query}" if parts.query else ""
    return {**params, key: f"{there}{parts.path}{query}"}


def _variables(data: Any) -> Iterator[str]:
    yield from referred(_tuples(data))


def _tuples(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_tuples(item) for item in value)
    return {name: _tuples(item) for name, item in value.items()} if isinstance(value, Mapping) else value
