"""One item of LiteLLM's ``model_list`` -> which provider it asks for what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args
from urllib.parse import urlsplit

from aiops.importing.keys import Clear, Reference, read_url, sent_key
from aiops.importing.modes import by_name
from aiops.importing.numbers import number, whole
from aiops.importing.report import Ledger
from aiops.spec.shapes.provider_types import TYPES, Mode
from aiops.spec.shapes.reference import REFERENCE as REFERRED
from aiops.spec.shapes.urls import REFERENCE, api_base, expand, normalise
from aiops.spec.yaml.yaml12 import Path, parse

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
    (
        (
            *("gpt-", "o1", "o3", "o4", "chatgpt-", "text-embedding-", "ft:gpt-", "davinci", "babbage", "dall-e"),
            *("whisper-", "tts-1", "omni-moderation-", "text-moderation-", "computer-use-", "codex-"),
        ),
        "openai",
    ),
    (("claude-",), "anthropic"),
    (("command", "embed-english", "embed-multilingual"), "cohere"),
)
"""Names that LiteLLM knows without a prefix."""
_REFERENCES = frozenset(("api_key", "api_base", "base_url"))
"""What stays a reference."""
_USUAL_KEYS = {"together_ai": "TOGETHERAI_API_KEY", "perplexity": "PERPLEXITYAI_API_KEY"}
_MODES: dict[str, Mode] = {mode: mode for mode in get_args(Mode)}


@dataclass(frozen=True)
class Deployment:
    """What can be said of it here. ``exact``: its address is not what its type makes of it. ``params``: what it was
    written with, with the values of variables where only a value makes sense. Costs are per token."""

    path: Path
    name: str
    type: str
    backend: str
    base_url: str | None = None
    exact: bool = False
    key: Reference | Clear | None = None
    mode: Mode = "chat"
    weight: int | float | None = None
    rpm: int | None = None
    tpm: int | None = None
    order: int | None = None
    info: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def wildcard(self) -> bool:
        """Whether it stands for every name that fits."""
        return "*" in self.name or "*" in self.backend

    @property
    def place(self) -> tuple[str, str | None, bool, Reference | Clear | None]:
        """Equal for deployments of one provider."""
        return (self.type, self.base_url, self.exact, self.key)


def read_deployment(item: Any, path: Path, ledger: Ledger, env: Mapping[str, str]) -> Deployment | None:
    """Judge the item's own parts; None when aiops has no provider type for it, which the ledger says.

    ``env``: the variables that ``os.environ/NAME`` may mean.
    """
    if not isinstance(item, Mapping) or not isinstance(item.get("litellm_params"), Mapping):
        ledger.decide(path, "not a deployment: `model_name` and `litellm_params` are needed")
        return None
    params: Mapping[str, Any] = _resolved(item["litellm_params"], env)
    written = item.get("model_info")
    info: Mapping[str, Any] = written if isinstance(written, Mapping) else {}
    name, model = item.get("model_name"), params.get("model")
    if not isinstance(name, str) or not isinstance(model, str):
        ledger.decide(path, "not a deployment: `model_name` and `litellm_params.model` should be text")
        return None
    base = params.get("api_base", params.get("base_url"))
    written_url = read_url(base) if isinstance(base, str) and base else None
    base_url = _root(written_url) if written_url else None
    custom = params.get("custom_llm_provider")
    prefix, kind, backend = _kind(model, base_url, custom if isinstance(custom, str) else None)
    if kind is None:
        ledger.decide(path, _no_type(prefix))
        return None
    mode = _MODES.get(str(info["mode"])) if info.get("mode") else by_name(backend)
    if mode is None:
        ledger.decide(path, f"aiops serves {', '.join(_MODES)}; this one is `{info['mode']}`")
        return None
    exact = written_url is not None and not _official(base_url) and _is_exact(written_url, kind, env)
    if exact:
        base_url = written_url
    if TYPES[kind].needs_url and base_url is None:
        base_url = {"ollama": "http://localhost:11434"}.get(kind)
        if base_url is None:
            ledger.decide(path, "without `api_base` nobody knows where this provider is")
            return None
    for part in ("model", "api_base", "base_url", "custom_llm_provider"):
        ledger.kept((*path, "litellm_params", part), to=f"a provider of type {kind}")
    at: Path = (*path, "litellm_params", "model")
    if not info.get("mode") and mode != "chat":
        ledger.translated(at, f"by its name a model for {mode}; nothing else said so", f"models[].mode: {mode}")
    elif prefix == "ollama" and mode == "chat":
        why = "asked by /api/chat, which uses the model's own template; LiteLLM's `ollama/` asked by /api/generate"
        ledger.translated(at, why, f"a provider of type {kind}")
    if exact:
        spelled: Path = (*path, "litellm_params", "api_base" if "api_base" in params else "base_url")
        ledger.translated(spelled, "used as it is written: nothing is added to it", "base_url, exact_url: true")
    ledger.kept((*path, "model_name"))
    key = sent_key(params.get("api_key"))
    if TYPES[kind].cloud and key is None and not TYPES[kind].ambient:
        key = Reference(_USUAL_KEYS.get(kind, f"{kind.upper()}_API_KEY"))
    return Deployment(
        path=path,
        name=name,
        type=kind,
        backend=backend,
        base_url=None if kind in ("openai", "anthropic") and _official(base_url) else base_url,
        exact=exact,
        key=key,
        mode="completion" if prefix == "text-completion-openai" else mode,
        weight=number(params.get("weight")),
        rpm=whole(params.get("rpm", info.get("rpm"))),
        tpm=whole(params.get("tpm", info.get("tpm"))),
        order=whole(params.get("order")),
        info=info,
        params=params,
    )


def provider_of(model: str, custom: Any = None) -> str:
    """LiteLLM's name of who is asked for ``model``: what stands before it, or ``custom_llm_provider``."""
    prefix, slash, _ = model.partition("/")
    if isinstance(custom, str) and custom:
        return custom
    if slash:
        return prefix
    return next((kind for beginnings, kind in _BARE if model.startswith(beginnings)), model)


def _kind(model: str, base_url: str | None, custom: str | None) -> tuple[str, str | None, str]:
    """(LiteLLM's provider, our type or None, the name at the provider)."""
    prefix, bare = provider_of(model, custom), "/" not in model and not custom
    rest = model if bare else model.removeprefix(f"{prefix}/")
    own = base_url is not None and not _official(base_url)
    if bare:
        kind = prefix if prefix in TYPES else None
        return prefix, "openai_compatible" if own and kind == "openai" else kind, model
    if prefix in ("openai", "text-completion-openai"):
        return prefix, "openai_compatible" if own else "openai", rest
    return prefix, _PREFIXES.get(prefix), rest


def _resolved(params: Mapping[str, Any], env: Mapping[str, str]) -> dict[str, Any]:
    """With the values of variables for what is no text: numbers, switches, and the name of the model."""
    found = dict(params)
    for key, value in params.items():
        reference = REFERRED.fullmatch(value) if isinstance(value, str) else None
        if reference is not None and key not in _REFERENCES and reference[1] in env:
            text = env[reference[1]]
            scalar = parse("", f"value: {text}".encode()).data if key != "model" else {"value": text}
            plain = scalar.get("value") if isinstance(scalar, Mapping) else text
            if key == "model" or isinstance(plain, int | float):
                found[key] = plain
    return found


def _is_exact(written: str, kind: str, env: Mapping[str, str]) -> bool:
    """Whether the address, as it stands, is not what aiops would ask by; also when that is not known."""
    url, missing = expand(written, env)
    if missing or REFERENCE.search(url):
        return bool(TYPES[kind].suffix)
    try:
        return api_base(normalise(url), TYPES[kind]) != _lower(url)
    except ValueError:
        return False


def _lower(url: str) -> str:
    """Scheme and host in lower case, without a slash at the end: spellings of the same address."""
    parts = urlsplit(url)
    return parts._replace(scheme=parts.scheme.lower(), netloc=parts.netloc.lower()).geturl().rstrip("/")


def _no_type(prefix: str) -> str:
    if prefix == "*":
        return "any model of any provider: name a provider, for `routing_rules.default_provider` or in `patterns`"
    return f"aiops has no provider type for `{prefix}`; a server that speaks OpenAI's API is `type: openai_compatible`"


def _root(written: str) -> str:
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
