"""What a provider says about its models: how large they are, how long a context they get, how many requests it takes.

Sources: Ollama docs/api.md (/api/tags, /api/show, /api/ps), vLLM's model cards (``max_model_len``) and metrics
(``cache_config_info``), llama.cpp tools/server/README.md (/props), the model lists of OpenRouter and Groq.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiops.spec.choosing import sizes
from aiops.spec.shapes.model import ModelSpec, Provider
from aiops.spec.shapes.provider_types import Mode
from aiops.verify import provider_load
from aiops.verify.check import Failed, Skipped
from aiops.verify.providers import ask, listing

_NUM_CTX = re.compile(r"^num_ctx\s+(\d+)\s*$", re.MULTILINE)
_CONTEXT_KEYS = ("max_model_len", "context_length", "context_window", "max_context_length")


@dataclass(frozen=True)
class Discovered:
    """``models`` in the provider's order, with what it says about each. ``parallel``: requests at the same time.

    ``notes``: what the reader has to know to judge the figures.
    """

    models: tuple[ModelSpec, ...]
    parallel: int | None = None
    notes: tuple[str, ...] = ()


def report(provider: Provider, key: str | None) -> Discovered:
    """Ask a provider. Raises Failed when it does not answer, Skipped when its type lists no models."""
    entries = list(_entries(listing(provider, key)))
    if provider.type == "ollama":
        return _ollama(provider, key, entries)
    if provider.type == "llama_cpp":
        return _llama_cpp(provider, key, entries)
    if provider.type == "vllm":
        return _vllm(provider, key, entries)
    return Discovered(_listed(entries))


def _listed(entries: list[tuple[str, Mapping[str, Any]]]) -> tuple[ModelSpec, ...]:
    return tuple(_model(name, context=_first(entry, _CONTEXT_KEYS)) for name, entry in entries)


def _entries(data: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for item in data.get("data") or data.get("models") or []:
        if isinstance(item, dict):
            yield str(item.get("id") or item.get("name")), item


def _ollama(provider: Provider, key: str | None, entries: list[tuple[str, Mapping[str, Any]]]) -> Discovered:
    notes: list[str] = []
    running = _entries(_optional(provider, key, "/api/ps", notes))
    loaded = {name: _whole(entry.get("context_length")) for name, entry in running}
    models, unsure = [], []
    for name, entry in entries:
        shown = _optional(provider, key, "/api/show", notes, {"model": name})
        info = _mapping(shown.get("model_info"))
        most = next((_whole(value) for field, value in info.items() if field.endswith(".context_length")), None)
        written = _NUM_CTX.search(str(shown.get("parameters") or ""))
        given = int(written[1]) if written else loaded.get(name)
        capabilities = shown.get("capabilities") or ()
        embeds = "embedding" in capabilities and "completion" not in capabilities
        if most and not given and not embeds:
            unsure.append(name)
        models.append(
            _model(
                name,
                size=_size(_mapping(entry.get("details")).get("parameter_size"), info.get("general.parameter_count")),
                context=min(filter(None, (most, given)), default=None),
                mode="embedding" if embeds else "chat",
            )
        )
    return Discovered(tuple(models), notes=(*dict.fromkeys(notes), *([_whole_context(unsure)] if unsure else ())))


def _whole_context(names: list[str]) -> str:
    return (
        f"context_length of {', '.join(names[:8])} is what the model can do at most; Ollama gives a request `num_ctx` "
        "tokens of it (4096 unless it was told otherwise), which `options: {num_ctx: N}` sets"
    )


def _llama_cpp(provider: Provider, key: str | None, entries: list[tuple[str, Mapping[str, Any]]]) -> Discovered:
    notes: list[str] = []
    props = _optional(provider, key, "/props", notes)
    # Of one slot: llama.cpp divides its context among them.
    served = _whole(_mapping(props.get("default_generation_settings")).get("n_ctx"))
    models = []
    for name, entry in entries:
        meta = _mapping(entry.get("meta"))
        trained = _whole(meta.get("n_ctx_train"))
        models.append(_model(name, size=_size(None, meta.get("n_params")), context=served or trained))
    return Discovered(tuple(models), _whole(props.get("total_slots")), tuple(notes))


def _vllm(provider: Provider, key: str | None, entries: list[tuple[str, Mapping[str, Any]]]) -> Discovered:
    models = _listed(entries)
    tokens = provider_load.cached_tokens(provider, key)
    longest = max((model.context_length or 0 for model in models), default=0)
    if not tokens or not longest:
        return Discovered(models)
    # Not written as `max_parallel`: short requests, which most are, fit in far larger numbers.
    return Discovered(
        models, notes=(f"its cache holds {tokens:,} tokens: {tokens / longest:.1f} requests of {longest:,} at a time",)
    )


def _model(name: str, *, size: str | None = None, context: int | None = None, mode: Mode = "chat") -> ModelSpec:
    return ModelSpec(name=name, size=size, context_length=context, mode=mode)


def _size(text: object, count: object) -> str | None:
    """What it says itself ("8.0B"), else its count of parameters in the same way."""
    try:
        return sizes.shown(sizes.parse(str(text))) if text else sizes.shown(float(str(count)) / 1e9) if count else None
    except ValueError:
        return None


def _optional(
    provider: Provider, key: str | None, path: str, notes: list[str], body: Mapping[str, str] | None = None
) -> Mapping[str, Any]:
    """What an extra page says; nothing when an older server does not have it, and a note when it has and fails."""
    try:
        return ask(provider, f"{provider.root}{path}", key, body)
    except Skipped:
        return {}
    except Failed as failed:
        notes.append(f"{failed}; what it would have said is missing")
        return {}


def _first(entry: Mapping[str, Any], keys: tuple[str, ...]) -> int | None:
    return next((found for key in keys if (found := _whole(entry.get(key))) is not None), None)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
