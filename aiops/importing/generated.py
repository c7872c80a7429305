"""An older generated LiteLLM file beside its sources: what somebody changed in it by hand would be lost otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiops.importing.keys import read_url
from aiops.importing.report import Fate, Ledger
from aiops.spec.shapes.urls import REFERENCE, expand, normalise, place
from aiops.spec.yaml.yaml12 import Path

_USUAL = frozenset(("model", "api_base", "base_url", "api_key", "custom_llm_provider"))
_SAME = "the sources say the same"


@dataclass(frozen=True)
class Served:
    """What the sources say of one name: who answers, and what it is called there."""

    provider: str
    backend: str


@dataclass
class Expected:
    """The sources, as far as a generated file repeats them."""

    servers: dict[str, tuple[str, int, str] | None] = field(default_factory=dict)
    served: dict[str, list[Served]] = field(default_factory=dict)
    chains: dict[str, tuple[str, ...]] = field(default_factory=dict)
    optional: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, providers: Any, mappings: Any, env: Mapping[str, str]) -> Expected:
        """From the plain data of the two files, whatever else is wrong with them."""
        expected = cls()
        statuses: dict[str, str] = {}
        for name, entry in _mapping(providers, "providers").items():
            if isinstance(entry, Mapping):
                statuses[name] = str(entry.get("status", "active"))
                expected.servers[name] = _place(entry.get("base_url"), env)
                models = entry.get("models")
                for model in models if isinstance(models, tuple) else ():
                    listed = model.get("name") if isinstance(model, Mapping) else model
                    if isinstance(listed, str) and statuses[name] == "active":
                        expected.served.setdefault(listed, []).append(Served(name, listed))
                        expected.optional.add(listed)
        for name, entry in _mapping(mappings, "exact_matches").items():
            provider = entry.get("provider") if isinstance(entry, Mapping) else None
            if isinstance(provider, str) and statuses.get(provider) == "active":
                backend = str(entry.get("backend_model") or name)
                expected.served[name] = [Served(provider, backend)]
                if backend in expected.served and backend != name:
                    expected.optional.add(backend)
                expected.optional.discard(name)
        # Whether a group or a capability became a model of its own depended on who generated the file.
        expected.optional |= {*_mapping(mappings, "load_balancing"), *_mapping(mappings, "capabilities")}
        for name, entry in _mapping(mappings, "fallback_chains").items():
            chain = entry.get("chain") if isinstance(entry, Mapping) else entry
            if isinstance(chain, tuple):
                expected.chains[name] = tuple(str(item) for item in chain)
        return expected


def compare(ledger: Ledger, expected: Expected) -> Iterator[tuple[Path, str]]:
    """Judge ``model_list`` and the fallbacks of a generated file; yield (path, what) for every edit made by hand."""
    data = ledger.document.data
    items = data.get("model_list")
    items = items if isinstance(items, tuple) else ()
    usual = _usual_params(items)
    seen: set[str] = set()
    for index, item in enumerate(items):
        path: Path = ("model_list", index)
        ledger.overrule(path, Fate.KEPT, _SAME)
        edits = list(_deployment(item, path, expected, usual)) if isinstance(item, Mapping) else []
        seen.add(str(item.get("model_name")) if isinstance(item, Mapping) else "")
        for where, what in edits:
            ledger.overrule(where, Fate.DECISION, what)
        yield from edits
    for name in expected.served:
        if name not in seen and name not in expected.optional:
            yield ("model_list",), f"`{name}` is in the sources and was taken out here; it is served again now"
    for where, what in _fallbacks(data, expected, ledger):
        ledger.overrule(where, Fate.DECISION, what)
        yield where, what


def _deployment(
    item: Mapping[str, Any], path: Path, expected: Expected, usual: frozenset[str]
) -> Iterator[tuple[Path, str]]:
    name, params = str(item.get("model_name")), item.get("litellm_params")
    if not isinstance(params, Mapping):
        return
    found = expected.served.get(name)
    if found is None:
        if name not in expected.optional:
            yield path, f"`{name}` is in this file only: add it to providers.yaml, or it is not served"
        return
    model = str(params.get("model", ""))
    backends = {served.backend for served in found}
    if model not in backends and model.partition("/")[2] not in backends:
        wanted = " or ".join(f"`{backend}`" for backend in sorted(backends))
        yield (*path, "litellm_params", "model"), f"the sources ask for {wanted}"
    key = "api_base" if "api_base" in params else "base_url"
    at = _place(params.get(key), {})
    if at is not None and all(expected.servers.get(served.provider) not in (None, at) for served in found):
        owners = ", ".join(sorted({served.provider for served in found}))
        yield (*path, "litellm_params", key), f"another server than the `base_url` of {owners}"
    for extra in params:
        if extra not in _USUAL | usual:
            yield (*path, "litellm_params", extra), "written here only, not by what made the other deployments"


def _usual_params(items: tuple[Any, ...]) -> frozenset[str]:
    """What every deployment has was written by the generator."""
    keys = [
        set(item["litellm_params"])
        for item in items
        if isinstance(item, Mapping) and isinstance(item.get("litellm_params"), Mapping)
    ]
    return frozenset(set.intersection(*keys)) if len(keys) > 1 else frozenset()


def _fallbacks(data: Mapping[str, Any], expected: Expected, ledger: Ledger) -> Iterator[tuple[Path, str]]:
    for section in ("router_settings", "litellm_settings"):
        fallbacks = _mapping(data, section).get("fallbacks")
        for index, item in enumerate(fallbacks if isinstance(fallbacks, tuple) else ()):
            for name, targets in item.items() if isinstance(item, Mapping) else ():
                path: Path = (section, "fallbacks", index, name)
                chain = tuple(targets) if isinstance(targets, tuple) else (targets,)
                ledger.overrule(path, Fate.KEPT, _SAME)
                own = expected.chains.get(name, expected.chains.get("default", ()))
                # An exact match's own fallback came first; the model itself was left out of the default chain.
                rest = tuple(each for each in own if each != name)
                if chain not in (own, rest) and chain[1:] not in (own, rest) and (own or len(chain) > 1):
                    yield path, f"another chain than the sources have for `{name}`"


def _mapping(data: Any, key: str) -> Mapping[str, Any]:
    value = data.get(key) if isinstance(data, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _place(url: Any, env: Mapping[str, str]) -> tuple[str, int, str] | None:
    """Where a server is; None when that depends on variables that are not set."""
    if not isinstance(url, str):
        return None
    text, bad = expand(read_url(url), env)
    try:
        return None if bad or REFERENCE.search(text) else place(normalise(text))
    except ValueError:
        return None
