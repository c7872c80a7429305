"""Sources -> desired state, or every problem at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aiops.errors import InvalidState, Problem
from aiops.spec.load.admin import check_admin
from aiops.spec.load.check import check
from aiops.spec.load.deployment import check_deployment
from aiops.spec.load.draft import Draft
from aiops.spec.load.load_mappings import load_mappings, section
from aiops.spec.load.ports import read_ports
from aiops.spec.load.provider_check import check_provider, link_local
from aiops.spec.load.screen import is_secret, screen
from aiops.spec.load.tenancy import EXPECTED, load_tenancy
from aiops.spec.names import check_model_name, quoted, short
from aiops.spec.shapes.model import DesiredState, ModelSpec, Provider
from aiops.spec.shapes.provider_types import TYPES, ProviderType
from aiops.spec.shapes.settings import Settings
from aiops.spec.shapes.urls import check as check_url
from aiops.spec.shapes.urls import expand, normalise, without_endpoint
from aiops.spec.shapes.wording import described, shaped, unknown_key, wrong_type
from aiops.spec.sources import FILES, KEYS, MAPPINGS, PORTS, PROVIDERS, REQUIRED, SETTINGS, Sources, fingerprint
from aiops.spec.suggest import did_you_mean, listed
from aiops.spec.yaml.yaml12 import Document, dotted, parse

_EXPECTED = {
    SETTINGS: "a mapping with `gateway:`",
    PROVIDERS: "a mapping with `providers:`",
    MAPPINGS: "a mapping with `exact_matches:` or `fallback_chains:`",
    PORTS: "a mapping of services, each with a `port:`",
    KEYS: EXPECTED,
}
_PROVIDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_UNIT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9:_.\\@-]*\.service")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def load(sources: Sources, env: Mapping[str, str]) -> DesiredState:
    """Given the sources and the environment (for ``${VAR}`` in URLs), return the checked desired state.

    Raises InvalidState with every problem of every file and kind.
    """
    problems: list[Problem] = []
    documents: dict[str, Document] = {}
    for file in FILES:
        if file in sources:
            documents[file] = parse(file, sources[file], _EXPECTED[file])
            problems.extend(documents[file].problems)
        elif file in REQUIRED:
            problems.append(Problem(file, 0, "the file is missing", "`aiops init` writes a commented one"))
    data: dict[str, Any] = {}
    for file, doc in documents.items():
        found, data[file] = screen(doc) if doc.data is not None else ([], None)
        problems.extend(found)

    draft = Draft(documents)
    if data.get(SETTINGS) is not None:
        _settings(draft, data[SETTINGS], problems)
    if data.get(PROVIDERS) is not None:
        _providers(draft, data[PROVIDERS], env, problems)
    else:
        draft.complete = False
    if data.get(MAPPINGS) is not None:
        load_mappings(draft, data[MAPPINGS], problems)
    elif MAPPINGS in documents:
        draft.complete = False
    if data.get(PORTS) is not None:
        draft.ports = read_ports(documents[PORTS], data[PORTS], problems)
    if data.get(KEYS) is not None:
        draft.tenancy = load_tenancy(documents[KEYS], data[KEYS], problems)
    problems.extend(check(draft))
    if problems or draft.settings is None:
        from aiops.spec.load.excerpt import with_excerpt

        texts = {file: sources[file].decode(errors="replace") for file in documents}
        problems = [with_excerpt(problem, texts.get(problem.file, "")) for problem in problems]
        raise InvalidState(problems, "nothing was changed; mend the files and run `aiops validate`")
    return DesiredState(
        draft.settings,
        draft.providers,
        draft.exact_matches,
        draft.fallback_chains,
        fingerprint(sources),
        draft.mappings,
        draft.ports,
        documents,
        draft.tenancy,
    )


def _settings(draft: Draft, data: dict[str, Any], problems: list[Problem]) -> None:
    doc = draft.documents[SETTINGS]
    draft.settings = shaped(Settings, data, doc, (), problems)
    gateway = data.get("gateway")
    if isinstance(gateway, dict) and type(gateway.get("port")) is int:
        draft.gateway_port = gateway["port"]
    if isinstance(gateway, dict):
        problems.extend(check_admin(doc, gateway))
        if type(gateway.get("admin_port")) is int:
            draft.admin_port = gateway["admin_port"]
    if draft.settings is not None:
        problems.extend(check_deployment(doc, data, draft.settings))


def _providers(draft: Draft, data: dict[str, Any], env: Mapping[str, str], problems: list[Problem]) -> None:
    doc = draft.documents[PROVIDERS]
    problems.extend(unknown_key(doc, (key,), ["providers"]) for key in data if key != "providers")
    if "providers" not in data:
        problems.append(Problem(PROVIDERS, 0, "`providers` is missing", "`providers: {}` is fine"))
    for name, raw in section(doc, data, ("providers",), problems).items():
        provider = _provider(draft, name, raw, env, problems)
        if provider is not None:
            draft.providers[name] = provider
        else:
            draft.broken.add(name)


def _provider(draft: Draft, name: str, raw: Any, env: Mapping[str, str], problems: list[Problem]) -> Provider | None:
    """One provider, or None after every problem of it was added."""
    doc, path, before = draft.documents[PROVIDERS], ("providers", name), len(problems)
    _name(doc, path, name, problems)
    if not isinstance(raw, dict):
        problems.append(wrong_type(doc, path, "a mapping", raw))
        return None
    models = _model_list(doc, path, raw, problems)
    draft.declare(name, [model.name for model in models if model.public], raw.get("status"))
    provider = shaped(Provider, {**raw, "models": ()}, doc, path, problems, name=name)
    kind = TYPES.get(raw["type"]) if isinstance(raw.get("type"), str) else None
    if kind is None and isinstance(raw.get("type"), str):
        hint = did_you_mean(raw["type"], TYPES, f"types: {listed(TYPES, 30)}")
        line = doc.line((*path, "type"))
        problems.append(Problem(PROVIDERS, line, f"unknown provider type `{short(raw['type'])}`", hint))
    _keys(doc, path, raw, kind, problems)
    problems.extend(check_provider(doc, path, raw, models))
    url = _url(doc, path, raw, kind, env, problems)
    for index, model in enumerate(models):
        if kind is not None and not kind.embeds and model.mode == "embedding":
            message = f"`{name}`: LiteLLM cannot ask a provider of type {raw['type']} for embeddings"
            hint = f"remove the model `{short(model.name)}`"
            problems.append(Problem(PROVIDERS, doc.line((*path, "models", index)), message, hint))
    if provider is None or len(problems) > before:
        return None
    return provider.model_copy(update={"base_url": url, "models": tuple(models)})


def _model_list(doc: Document, path: tuple[str, str], raw: dict[str, Any], problems: list[Problem]) -> list[ModelSpec]:
    """The well-formed models of a provider; a bare string is a model with just a name."""
    items = raw.get("models")
    if items is None:
        return []
    if not isinstance(items, tuple):
        problems.append(wrong_type(doc, (*path, "models"), "a list", items))
        return []
    models = []
    for index, item in enumerate(items):
        where = (*path, "models", index)
        if isinstance(item, str):
            model: ModelSpec | None = ModelSpec(name=item)
        elif isinstance(item, dict):
            model = shaped(ModelSpec, item, doc, where, problems)
            if model is None and isinstance(item.get("name"), str):
                model = ModelSpec(name=item["name"])  # its name still counts when others refer to it
        else:
            hint = "put it in quotes" if isinstance(item, int | float) else ""
            message = f"`{dotted(where)}` should be a name or a mapping, is {described(item)}"
            problems.append(Problem(doc.file, doc.line(where), message, hint))
            continue
        if model is not None:
            check_model_name(doc, where, model.name, problems)
            models.append(model)
    return models


def _keys(
    doc: Document, path: tuple[str, str], raw: dict[str, Any], kind: ProviderType | None, problems: list[Problem]
) -> None:
    """References to the key, and the health endpoint. Values of a wrong type are reported with the shape."""

    def problem(key: str, message: str, hint: str = "") -> None:
        problems.append(Problem(doc.file, doc.line((*path, key)), message, hint))

    name, env, file = dotted(path), raw.get("api_key_env"), raw.get("api_key_file")
    if env is not None and file is not None:
        problem("api_key_file", f"`{name}` has both `api_key_env` and `api_key_file`", "keep one")
    if isinstance(env, str) and not _ENV_NAME.fullmatch(env) and not is_secret(env):
        hint = "for example OPENAI_API_KEY"
        problem("api_key_env", f"`{name}.api_key_env` is not the name of an environment variable", hint)
    if isinstance(file, str) and not file.strip():
        problem("api_key_file", f"`{name}.api_key_file` is empty")
    # A key that was refused because it would hold the secret itself was the attempt to give one.
    attempted = len(raw) < len(doc.data["providers"][path[1]])
    keyless = env is None and file is None and not attempted and raw.get("status", "active") == "active"
    if kind is not None and kind.cloud and not kind.ambient and keyless:
        hint = f"for example `api_key_env: {raw['type'].upper()}_API_KEY`"
        problem("type", f"`{name}` is of type {raw['type']} and needs `api_key_env` or `api_key_file`", hint)
    endpoint = raw.get("health_endpoint")
    if isinstance(endpoint, str) and not re.fullmatch(r"/[!-~]*", endpoint):
        hint = "for example /v1/models"
        problem("health_endpoint", f"`{name}.health_endpoint` should be a path that begins with `/`", hint)
    service = raw.get("service")
    unit = service.get("unit") if isinstance(service, dict) else None
    if isinstance(unit, str) and (not _UNIT_NAME.fullmatch(unit) or unit.endswith("@.service") or len(unit) > 255):
        problem("service", f"`{name}.service.unit` is not the name of a service unit", "for example vllm@qwen.service")


def _url(
    doc: Document,
    path: tuple[str, str],
    raw: dict[str, Any],
    kind: ProviderType | None,
    env: Mapping[str, str],
    problems: list[Problem],
) -> str | None:
    """The expanded and normalised base URL; a template's is kept as it is."""
    url, name = raw.get("base_url"), f"`{dotted((*path, 'base_url'))}`"
    if url is None and raw.get("exact_url") is True:
        line = doc.line((*path, "exact_url"))
        message = f"`{dotted((*path, 'exact_url'))}` has no effect without `base_url`"
        problems.append(Problem(doc.file, line, message, "write the address, or remove it"))
    if raw.get("status") == "template":
        return url if isinstance(url, str) else None
    if url is None and kind is not None and kind.needs_url:
        problems.append(Problem(doc.file, doc.line(path), f"{name} is missing"))
    if not isinstance(url, str):
        return None
    url, bad = expand(url, env)
    exact = raw.get("exact_url") is True
    bad = bad or list(check_url(url, may_have_query=exact))
    line = doc.line((*path, "base_url"))
    problems.extend([] if bad else link_local(doc, path, raw, url))
    problems.extend(Problem(doc.file, line, f"{name}: {item.message}", item.hint) for item in bad)
    return None if bad else url if exact else normalise(without_endpoint(url)[0])


def _name(doc: Document, path: tuple[str, str], name: str, problems: list[Problem]) -> None:
    if not _PROVIDER_NAME.fullmatch(name) or len(name) > 64:
        hint = "letters, digits, `_`, `.` and `-`, at most 64, the first a letter or digit"
        problems.append(Problem(doc.file, doc.line(path), f"the provider name {quoted(name)} is not usable", hint))
