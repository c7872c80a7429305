"""What the verbs do to the operator's files: pure functions from sources to sources, comments and format kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from aiops.errors import UsageError
from aiops.spec.choosing.rules import ALIASES, Strategy
from aiops.spec.edit.references import forget, model_names
from aiops.spec.shapes.model import ModelSpec
from aiops.spec.shapes.provider_types import TYPES, same_model
from aiops.spec.shapes.urls import without_endpoint
from aiops.spec.sources import FILES, MAPPINGS, PROVIDERS, SETTINGS, Sources
from aiops.spec.suggest import did_you_mean, listed
from aiops.spec.yaml.splice import Splice
from aiops.spec.yaml.yaml12 import Path, dotted

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Edit:
    """New sources, and in plain words what was changed beyond the obvious. Equal sources: nothing to do."""

    sources: Sources
    notes: tuple[str, ...] = ()


def add_provider(
    sources: Sources,
    name: str,
    *,
    type: str,
    base_url: str | None = None,
    models: Sequence[ModelSpec | str] = (),
    fallback: str | None = None,
    api_key_env: str | None = None,
    api_key_file: str | None = None,
    description: str | None = None,
    health_endpoint: str | None = None,
    max_parallel: int | None = None,
) -> Edit:
    """Add an active provider, and with ``fallback`` an exact match per model.

    The same again changes nothing. Raises UsageError for an unknown type or fallback, or when the name is taken
    by a provider with other content.
    """
    if type not in TYPES:
        raise UsageError(f"unknown provider type `{type}`", did_you_mean(type, TYPES, f"types: {listed(TYPES, 30)}"))
    providers, mappings = _open(sources)
    endpoint = ""
    if base_url is not None:
        base_url, endpoint = without_endpoint(base_url)
    entry: dict[str, Any] = {"type": type, "base_url": base_url, "status": "active", "description": description}
    entry |= {
        "api_key_env": api_key_env,
        "api_key_file": api_key_file,
        "models": tuple(_entry(model) for model in models),
    }
    entry |= {"health_endpoint": health_endpoint, "max_parallel": max_parallel}
    entry = {key: value for key, value in entry.items() if value not in (None, ())}
    existing = providers.get(("providers", name))
    if existing is None and not models:
        raise UsageError("which models does it serve?", "name them with --model M, or let --discover ask the provider")
    if existing is None:
        _fallback_exists(providers, mappings, fallback, name, [_name(model) for model in models])
        providers.put(("providers", name), entry)
    elif not _same(existing, entry):
        raise UsageError(
            f"the provider `{name}` exists already and is different",
            f"edit {PROVIDERS}, or `aiops remove-provider {name}` first",
        )
    for model in models if fallback is not None else ():
        _match(mappings, name, _name(model), fallback)
    cut = [f"`{endpoint}` is an endpoint and no part of the address: {base_url} is written"] if endpoint else []
    return _edit(sources, providers, mappings, cut)


def remove_provider(sources: Sources, name: str) -> Edit:
    """Remove a provider, the exact matches that point at it, and what refers to models that nobody serves then."""
    providers, mappings = _open(sources)
    _known(providers, name)
    mappings, notes = forget(providers, mappings, name, None)
    providers.remove([("providers", name)])
    return _edit(sources, providers, mappings, notes)


def add_model(sources: Sources, provider: str, model: ModelSpec | str, fallback: str | None = None) -> Edit:
    """Add a model to a provider, and with ``fallback`` an exact match. The same again changes nothing."""
    providers, mappings = _open(sources)
    _known(providers, provider)
    path = ("providers", provider, "models")
    entry = _entry(model)
    wanted = _named(entry)
    listed_names = model_names(providers.mapping("providers", provider))
    same_name = (
        _named(providers.get((*path, listed_names.index(wanted["name"])))) if wanted["name"] in listed_names else None
    )
    if same_name is None:
        _fallback_exists(providers, mappings, fallback, provider, [_name(model)])
        bare = listed_names and all(isinstance(item, str) for item in providers.get(path))
        providers.append(path, entry if not isinstance(entry, str) or bare else {"name": entry})
    elif not wanted.items() <= same_name.items():
        raise UsageError(f"`{provider}` lists `{wanted['name']}` already, with other details", f"edit {PROVIDERS}")
    if fallback is not None:
        _match(mappings, provider, wanted["name"], fallback)
    return _edit(sources, providers, mappings)


def remove_model(sources: Sources, provider: str, model: str) -> Edit:
    """Remove a model from a provider, the exact matches for it, and what refers to names that nobody serves then."""
    providers, mappings = _open(sources)
    _known(providers, provider)
    path = ("providers", provider, "models")
    names = model_names(providers.mapping("providers", provider))
    if model not in names:
        raise UsageError(
            f"`{provider}` does not list the model `{model}`", did_you_mean(model, names, f"it lists: {listed(names)}")
        )
    mappings, notes = forget(providers, mappings, provider, model)
    providers.remove([(*path, index) for index, name in enumerate(names) if name == model])
    return _edit(sources, providers, mappings, notes)


def learn(sources: Sources, provider: str, models: Sequence[ModelSpec], max_parallel: int | None) -> Edit:
    """Write what a provider reports about the models it is listed with, where nothing is written yet.

    What is written stays: a note says where the provider reports something else.
    """
    providers, mappings = _open(sources)
    _known(providers, provider)
    entry, notes = providers.mapping("providers", provider), []
    reported = {model.name: model for model in models}
    for index, name in enumerate(model_names(entry)):
        # Ollama lists `name:latest` for what everybody calls `name`.
        model = reported.get(name) or reported.get(str(same_model(name)))
        if model is None:
            continue
        path: Path = ("providers", provider, "models", index)
        item, new = providers.get(path), {}
        for key, value in (("size", model.size), ("context_length", model.context_length)):
            written = item.get(key) if isinstance(item, Mapping) else None
            if value is not None and written is None:
                new[key] = value
            elif value is not None and written != value:
                notes.append(f"`{name}`: {key} {written} is written and stays; {provider} reports {value}")
        if new and isinstance(item, str):
            providers.put(path, {"name": item, **new})
        else:
            for key, value in new.items():
                providers.put((*path, key), value)
    if max_parallel is not None and "max_parallel" not in entry:
        providers.put(("providers", provider, "max_parallel"), max_parallel)
    return _edit(sources, providers, mappings, notes)


def set_status(sources: Sources, name: str, status: Literal["active", "disabled"]) -> Edit:
    """Disable or enable a provider."""
    providers, mappings = _open(sources)
    _known(providers, name)
    if providers.get(("providers", name, "status"), "active") != status:
        providers.put(("providers", name, "status"), status)
    return _edit(sources, providers, mappings)


def set_service(sources: Sources, name: str, unit: str, scope: Literal["user", "system"]) -> Edit:
    """Say which systemd unit runs a provider, unless one is named already."""
    providers, mappings = _open(sources)
    _known(providers, name)
    if providers.get(("providers", name, "service")) is None:
        service = {"unit": unit} | ({"scope": scope} if scope != "user" else {})
        providers.put(("providers", name, "service"), service)
    return _edit(sources, providers, mappings)


def set_value(sources: Sources, file: str, path: tuple[str, ...], value: Scalar) -> Edit:
    """Set one scalar, for example ``("gateway", "port")`` in ``aiops.yaml``; it is added when it is not written yet."""
    if file not in FILES:
        raise UsageError(f"there is no file `{file}`", f"files: {', '.join(FILES)}")
    splice = Splice(file, sources.get(file, b""))
    missing = object()
    current = splice.get(path, missing)
    if isinstance(current, Mapping | tuple):
        raise UsageError(f"`{dotted(path)}` in {file} holds more than one value", "name a single one")
    if current is missing or current != value or isinstance(current, bool) != isinstance(value, bool):
        splice.put(path, value)
    return _edit(sources, splice)


def set_distributed(sources: Sources, database_url_file: str, redis_url_file: str) -> Edit:
    """Several gateways share a Postgres and a Redis, whose URLs are in these files."""
    settings = Splice(SETTINGS, sources.get(SETTINGS, b""))
    path = ("deployment", "mode") if settings.get(("deployment", "mode")) is not None else ("mode",)
    settings.put(path, "distributed")
    settings = settings.again()
    settings.put(("deployment", "database_url_file"), database_url_file)
    settings = settings.again()
    settings.put(("deployment", "redis_url_file"), redis_url_file)
    return _edit(sources, settings)


def set_standalone(sources: Sources) -> Edit:
    """Everything in files of its own, and nothing that needs Redis."""
    settings = Splice(SETTINGS, sources.get(SETTINGS, b""))
    for section in ("deployment", "cache"):
        if settings.get((section,)) is not None:
            settings.remove([(section,)])
            settings = settings.again()
    settings.put(("mode",), "standalone")
    return _edit(sources, settings)


def set_strategy(sources: Sources, strategy: Strategy, name: str | None = None) -> Edit:
    """Let one load-balancing group or capability choose this way; without ``name`` every one that says nothing itself.

    The same under another name changes nothing. Raises UsageError for a name that has nothing to choose between.
    """
    providers, mappings = _open(sources)
    path: Path = ("routing_rules", "default_strategy")
    if name is not None:
        path = _group_strategy(providers, mappings, name)
    written = mappings.get(path)
    if written is None or ALIASES.get(written, written) != strategy:
        mappings.put(path, strategy.value)
    return _edit(sources, mappings)


def _group_strategy(providers: Splice, mappings: Splice, name: str) -> Path:
    for section, key in (("load_balancing", "strategy"), ("capabilities", "routing_strategy")):
        if name in mappings.mapping(section):
            return (section, name, key)
    served = {*mappings.mapping("exact_matches")}
    for entry in providers.mapping("providers").values():
        served.update(model_names(entry))
    groups = [*mappings.mapping("load_balancing"), *mappings.mapping("capabilities")]
    if name in served:
        raise UsageError(
            f"one deployment answers `{name}`: there is nothing to choose between",
            f"groups: {listed(groups)}" if groups else f"`load_balancing` in {MAPPINGS} gives it more than one",
        )
    hint = did_you_mean(name, groups, f"there are: {listed(groups)}" if groups else f"{MAPPINGS} has none yet")
    raise UsageError(f"there is no load-balancing group or capability `{name}`", hint)


def _open(sources: Sources) -> tuple[Splice, Splice]:
    return Splice(PROVIDERS, sources.get(PROVIDERS, b"")), Splice(MAPPINGS, sources.get(MAPPINGS, b""))


def _edit(sources: Sources, *parts: Splice | Sequence[str]) -> Edit:
    changed = {part.file: part.done() for part in parts if isinstance(part, Splice) and part.changed}
    notes = [note for part in parts if not isinstance(part, Splice) for note in part]
    notes += [
        f"{part.file}: comments inside what was removed went with it ({part.lost_comments})"
        for part in parts
        if isinstance(part, Splice) and part.lost_comments
    ]
    return Edit({**sources, **changed}, tuple(notes))


def _known(providers: Splice, name: str) -> None:
    names = providers.mapping("providers")
    if name not in names:
        raise UsageError(f"there is no provider `{name}`", did_you_mean(name, names, f"providers: {listed(names)}"))


def _fallback_exists(
    providers: Splice, mappings: Splice, fallback: str | None, provider: str, models: Sequence[str]
) -> None:
    if fallback is None:
        return
    known = {*providers.mapping("providers"), *models}
    for section in ("exact_matches", "load_balancing", "capabilities"):
        known.update(mappings.mapping(section))
    for entry in providers.mapping("providers").values():
        known.update(model_names(entry))
    if fallback not in known:
        known.discard(provider)
        hint = did_you_mean(fallback, known, f"there are: {listed(known)}" if known else "nothing is served yet")
        raise UsageError(f"the fallback `{fallback}` is neither a served model nor a provider", hint)


def _match(mappings: Splice, provider: str, model: str, fallback: str | None) -> None:
    """An exact match for the model with this fallback."""
    path = ("exact_matches", model)
    present = mappings.mapping(*path)
    if mappings.get(path) is None:
        mappings.put(path, {"provider": provider, "fallback": fallback})
    elif present.get("provider") != provider:
        raise UsageError(
            f"`{model}` is routed to `{present.get('provider')}` by an exact match already", f"edit {MAPPINGS}"
        )
    elif present.get("fallback") != fallback:
        mappings.put((*path, "fallback"), fallback)


def _entry(model: ModelSpec | str) -> str | dict[str, Any]:
    """A model as it is written: a bare string when there is nothing but a name."""
    if isinstance(model, str):
        return model
    entry = model.model_dump(exclude_defaults=True)
    return model.name if set(entry) == {"name"} else entry


def _name(model: ModelSpec | str) -> str:
    return model if isinstance(model, str) else model.name


def _named(item: Any) -> dict[str, Any]:
    return dict(item) if isinstance(item, Mapping) else {"name": item}


def _same(existing: Any, entry: Mapping[str, Any]) -> bool:
    """Whether everything asked for is written already; documentation beside it does not matter."""
    if not isinstance(existing, Mapping):
        return False
    present, wanted = {"status": "active", **existing}, dict(entry)
    names, models = model_names(present), model_names(wanted)
    wanted.pop("models", None)
    wanted.pop("max_parallel", None)  # discovered: `provider discover` brings it up to date
    url = str(wanted.pop("base_url", "")).rstrip("/").removesuffix("/v1")
    return (
        url == str(present.pop("base_url", "")).rstrip("/").removesuffix("/v1")
        and sorted(names) == sorted(models)
        and all(present.get(key) == value for key, value in wanted.items())
    )
