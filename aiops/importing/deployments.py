"""One item of LiteLLM's ``model_list`` -> which provider it asks for what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from aiops.importing.keys import Clear, Reference, read_key, read_url
from aiops.importing.numbers import number, whole
from aiops.importing.report import Ledger
from aiops.spec.shapes.provider_types import TYPES, Mode
from aiops.spec.shapes.urls import REFERENCE, normalise
from aiops.spec.yaml.yaml12 import Path

_PREFIXES: dict[str, str] = {
    **{kind.prefix: name for name, kind in TYPES.items() if name != "openai"},
    **{prefix: name for name, kind in TYPES.items() for _, prefix in kind.prefixes},
    **{name: name for name, kind in TYPES.items() if kind.cloud},
    "vllm": "vllm",
    "cohere": "cohere",
    "text-completion-openai": "openai",
    "openai_like": "openai_compatible",
    **dict.fromkeys(("custom_openai", "lm_studio", "litellm_proxy", "xinference"), "openai_compatible"),
}
_BARE = (
    (("gpt-", "o1", "o3", "o4", "chatgpt-", "text-embedding-", "ft:gpt-", "davinci", "dall-e"), "openai"),
    (("claude-",), "anthropic"),
    (("command", "embed-english", "embed-multilingual"), "cohere"),
)
"""Names that LiteLLM knows without a prefix."""
_USUAL_KEYS = {"together_ai": "TOGETHERAI_API_KEY", "perplexity": "PERPLEXITYAI_API_KEY"}
_MODES: dict[str, Mode] = {"chat": "chat", "completion": "completion", "embedding": "embedding"}


@dataclass(frozen=True)
class Deployment:
    """What can be said of it here. ``wildcard``: it passes on whatever name was asked for. Costs are per token."""

    path: Path
    name: str
    type: str
    backend: str
    base_url: str | None = None
    key: Reference | Clear | None = None
    mode: Mode = "chat"
    weight: int | float | None = None
    rpm: int | None = None
    tpm: int | None = None
    order: int | None = None
    info: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def wildcard(self) -> bool:
        """Whether it stands for every name that fits."""
        return "*" in self.name or "*" in self.backend

    @property
    def place(self) -> tuple[str, str | None, Reference | Clear | None]:
        """Equal for deployments of one provider."""
        return (self.type, self.base_url, self.key)


def read_deployment(item: Any, path: Path, ledger: Ledger) -> Deployment | None:
    """Judge the item's own parts; None when aiops has no provider type for it, which the ledger says."""
    if not isinstance(item, Mapping) or not isinstance(item.get("litellm_params"), Mapping):
        ledger.decide(path, "not a deployment: `model_name` and `litellm_params` are needed")
        return None
    params: Mapping[str, Any] = item["litellm_params"]
    written = item.get("model_info")
    info: Mapping[str, Any] = written if isinstance(written, Mapping) else {}
    name, model = item.get("model_name"), params.get("model")
    if not isinstance(name, str) or not isinstance(model, str):
        ledger.decide(path, "not a deployment: `model_name` and `litellm_params.model` should be text")
        return None
    base = params.get("api_base", params.get("base_url"))
    base_url = _root(base) if isinstance(base, str) and base else None
    custom = params.get("custom_llm_provider")
    prefix, kind, backend = _kind(model, base_url, custom if isinstance(custom, str) else None)
    if kind is None:
        ledger.decide(path, _no_type(prefix))
        return None
    mode = _MODES.get(str(info.get("mode", "chat")))
    if mode is None:
        ledger.decide(path, f"aiops serves chat, completion and embedding models; this one is `{info.get('mode')}`")
        return None
    if TYPES[kind].needs_url and base_url is None:
        base_url = {"ollama": "http://localhost:11434"}.get(kind)
        if base_url is None:
            ledger.decide(path, "without `api_base` nobody knows where this provider is")
            return None
    for part in ("model", "api_base", "base_url", "custom_llm_provider"):
        ledger.kept((*path, "litellm_params", part), to=f"a provider of type {kind}")
    ledger.kept((*path, "model_name"))
    key = read_key(params.get("api_key"))
    if TYPES[kind].cloud and key is None:
        key = Reference(_USUAL_KEYS.get(kind, f"{kind.upper()}_API_KEY"))
    return Deployment(
        path=path,
        name=name,
        type=kind,
        backend=backend,
        base_url=None if kind in ("openai", "anthropic") and _official(base_url) else base_url,
        key=key,
        mode="completion" if prefix == "text-completion-openai" else mode,
        weight=number(params.get("weight")),
        rpm=whole(params.get("rpm", info.get("rpm"))),
        tpm=whole(params.get("tpm", info.get("tpm"))),
        order=whole(params.get("order")),
        info=info,
        extra=params,
    )


def _kind(model: str, base_url: str | None, custom: str | None) -> tuple[str, str | None, str]:
    """(LiteLLM's provider, our type or None, the name at the provider)."""
    prefix, slash, rest = model.partition("/")
    if custom:
        prefix, slash, rest = custom, "/", model.removeprefix(f"{custom}/")
    if prefix == "openai" and slash:
        own = base_url is not None and not _official(base_url)
        return prefix, "openai_compatible" if own else "openai", rest
    if slash and prefix in _PREFIXES:
        return prefix, _PREFIXES[prefix], rest
    for beginnings, kind in _BARE:
        if model.startswith(beginnings) and not slash:
            own = base_url is not None and not _official(base_url)
            return kind, "openai_compatible" if own and kind == "openai" else kind, model
    return (prefix if slash else model), None, rest or model


def _no_type(prefix: str) -> str:
    if prefix in ("azure", "azure_ai"):
        return (
            "aiops has no type for azure; Azure's v1 API is OpenAI's: `type: openai_compatible`, "
            "`base_url: https://RESOURCE.openai.azure.com/openai/v1`, the deployment's name as model"
        )
    if prefix == "*":
        return "any model of any provider: name a provider, for `routing_rules.default_provider` or in `patterns`"
    return f"aiops has no provider type for `{prefix}`; a server that speaks OpenAI's API is `type: openai_compatible`"


def _root(url: str) -> str:
    written = read_url(url)
    if REFERENCE.search(written):
        return written
    try:
        return normalise(written)
    except ValueError:
        return written


def _official(url: str | None) -> bool:
    return url is None or where(url)[0] in ("api.openai.com", "api.anthropic.com")


def where(url: str) -> tuple[str, str]:
    """Host and port, as text; empty when they are left to a variable, or the URL is none, which `load` reports."""
    if REFERENCE.search(url):
        return "", ""
    try:
        parts = urlsplit(url)
        return parts.hostname or "", str(parts.port or "")
    except ValueError:
        return "", ""
