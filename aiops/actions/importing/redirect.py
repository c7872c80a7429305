"""The original file with every provider's address pointed at a double, and without what calls anybody else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from aiops.actions.importing.double import Arrived
from aiops.importing.deployments import provider_of
from aiops.importing.keys import read_url
from aiops.importing.report import Entry, Fate
from aiops.spec.shapes.options import referred
from aiops.spec.shapes.urls import expand
from aiops.spec.yaml.yaml12 import Document
from aiops.spec.yaml.yaml_text import block

# Who else LiteLLM would talk to, or keep things at; none of it decides what a provider is asked. And who is left alone
# for a while after failures: the questions that make providers fail would decide about those asked after them.
_ELSEWHERE = {
    "litellm_settings": (
        *("callbacks", "success_callback", "failure_callback", "service_callback", "cache", "cache_params"),
        *("allowed_fails", "cooldown_time"),
    ),
    "router_settings": (
        *("redis_host", "redis_port", "redis_password", "redis_url", "redis_db", "cache_kwargs"),
        *("allowed_fails", "allowed_fails_policy", "cooldown_time", "health_check_interval"),
    ),
    "general_settings": (
        *("database_url", "store_model_in_db", "alerting", "slack_alerting", "coordination_redis", "custom_auth"),
        *("background_health_checks", "master_key"),
    ),
}
_ADDRESSES: Mapping[str, str] = {
    "ollama": "http://localhost:11434",
    "ollama_chat": "http://localhost:11434",
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
    "deepseek": "https://api.deepseek.com",
    "groq": "https://api.groq.com/openai/v1",
    "mistral": "https://api.mistral.ai/v1",
    "openrouter": "https://openrouter.ai/api/v1",
    "xai": "https://api.x.ai/v1",
}
"""Where LiteLLM goes when no address is written, by the provider's name in it."""


@dataclass(frozen=True)
class Asked:
    """One public name. ``lines``: where its deployments stand; ``mode``: as written, or None; ``models``: what each of
    them asks for, in LiteLLM's words. ``facts``: what the original says of the model itself.

    ``decisions``: keys of its deployments that have no equal here, and why. ``listed``: whether callers are told of it.
    ``groups``: of (server, model) that are one of several deployments of names, those names.
    """

    name: str
    lines: tuple[int, ...]
    mode: str | None
    models: tuple[str, ...]
    facts: frozenset[str] = frozenset()
    decisions: Mapping[str, str] = field(default_factory=dict)
    listed: bool = True
    groups: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)

    def among(self, arrived: Arrived) -> frozenset[str]:
        """The names of several deployments that it may have been asked for."""
        return self.groups.get((arrived.at, str(arrived.body.get("model"))), frozenset())

    def called(self, arrived: Arrived) -> str:
        """Who was asked, in words in which the deployments of a name are one."""
        return next(iter(self.among(arrived)), arrived.named)


@dataclass
class Redirected:
    """``content``: the file for both sides. ``environment``: what it refers to, made up where nothing is known.

    ``left_out``: names that are not asked, with the line and why.
    """

    content: bytes = b""
    names: list[Asked] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    left_out: list[tuple[str, int, str]] = field(default_factory=list)


@dataclass(frozen=True)
class _Item:
    line: int
    server: str
    model: str
    info: Mapping[str, Any]
    params: Mapping[str, Any]
    decisions: Mapping[str, str]


def redirect(
    document: Document, env: Mapping[str, str], address: Callable[[str], str], key: str, entries: Iterable[Entry] = ()
) -> Redirected:
    """Given the original and where the double of an origin is, the file that both gateways are started with.

    ``entries``: the import's account of the original. What it set aside is asked of neither.
    """
    made = Redirected()
    data: dict[str, Any] = dict(document.data)
    kept: list[dict[str, Any]] = []
    names: dict[str, list[_Item]] = {}
    undecided = _undecided(entries)
    for index, item in enumerate(data.get("model_list") or ()):
        params = item.get("litellm_params") if isinstance(item, Mapping) else None
        if not isinstance(params, Mapping) or not isinstance(params.get("model"), str):
            continue
        name, line, place = str(item.get("model_name")), document.line(("model_list", index)), f"model_list[{index}]"
        address_of = _where(params, env)
        if address_of is None or place in undecided:
            why = undecided.get(place, "nobody else can stand where its provider is")
            made.left_out.append((name, line, why))
            continue
        key_of, server, rest = address_of
        kept.append({**item, "litellm_params": {**params, key_of: f"{address(server)}{rest}"}})
        info = item.get("model_info")
        keys = {under.rpartition(".")[2]: why for under, why in undecided.items() if under.startswith(f"{place}.")}
        found = _Item(line, server, params["model"], info if isinstance(info, Mapping) else {}, params, keys)
        names.setdefault(name, []).append(found)
    data["model_list"] = tuple(kept)
    for section, unwanted in _ELSEWHERE.items():
        if isinstance(data.get(section), Mapping):
            data[section] = {name: value for name, value in data[section].items() if name not in unwanted}
    data["general_settings"] = {**data.get("general_settings", {}), "master_key": key}
    data["router_settings"] = {**data.get("router_settings", {}), "disable_cooldowns": True}
    # For names like Llama's a tokenizer would be fetched from a model hub, which nobody may be asked for.
    data["litellm_settings"] = {**data.get("litellm_settings", {}), "disable_hf_tokenizer_download": True}
    groups: dict[tuple[str, str], frozenset[str]] = {}
    for name, several in names.items():
        for each in several if len(several) > 1 else ():
            at = (each.server, each.model.partition("/")[2] or each.model)
            groups[at] = groups.get(at, frozenset()) | {name}
    made.names += [replace(_asked(name, found), groups=groups) for name, found in names.items()]
    made.names += _aliases(document, made.names)
    made.environment = {name: env.get(name) or f"made-up-{name.lower()}" for name in _variables(data)}
    made.content = block(data).encode()
    return made


def _undecided(entries: Iterable[Entry]) -> dict[str, str]:
    """What has no equal here, or is only told, by the place that was judged."""
    return {each.under: each.why for each in entries if each.fate in (Fate.DECISION, Fate.DOCUMENTATION) and each.why}


def _asked(name: str, found: list[_Item]) -> Asked:
    mode = next((str(each.info["mode"]) for each in found if each.info.get("mode")), None)
    facts = frozenset(key for each in found for key in (*each.info, *each.params))
    decisions = {key: why for each in found for key, why in each.decisions.items()}
    return Asked(name, tuple(each.line for each in found), mode, tuple(each.model for each in found), facts, decisions)


def _aliases(document: Document, names: list[Asked]) -> Iterator[Asked]:
    """Second names, which stand for all that the first stands for."""
    router = document.data.get("router_settings")
    aliases = router.get("model_group_alias") if isinstance(router, Mapping) else None
    served = {each.name: each for each in names}
    for alias, target in aliases.items() if isinstance(aliases, Mapping) else ():
        name = target.get("model") if isinstance(target, Mapping) else target
        if name in served and alias not in served:
            line = document.line(("router_settings", "model_group_alias", alias))
            hidden = isinstance(target, Mapping) and target.get("hidden") is True
            lines = (line,) * len(served[name].lines)
            yield replace(served[name], name=alias, lines=lines, listed=not hidden)


def _where(params: Mapping[str, Any], env: Mapping[str, str]) -> tuple[str, str, str] | None:
    """The key that says where a provider is, its origin, and the rest of its address. None when nobody knows."""
    key = "base_url" if "base_url" in params and "api_base" not in params else "api_base"
    written = params.get(key) or _ADDRESSES.get(provider_of(params["model"], params.get("custom_llm_provider")))
    if not isinstance(written, str):
        return None
    url, missing = expand(read_url(written), env)
    parts = urlsplit(url)
    if missing or not parts.hostname:
        return None
    query = f"?{parts.query}" if parts.query else ""
    return key, f"{parts.scheme}://{parts.netloc}", f"{parts.path}{query}"


def _variables(data: Any) -> Iterator[str]:
    yield from referred(_tuples(data))


def _tuples(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_tuples(item) for item in value)
    return {name: _tuples(item) for name, item in value.items()} if isinstance(value, Mapping) else value
