"""LiteLLM's ``config.yaml`` -> our three files, written anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from aiops.importing.deployments import Deployment, read_deployment
from aiops.importing.keys import Clear, Reference, Secrets, variable
from aiops.importing.litellm_keys import DEPLOYMENT
from aiops.importing.litellm_settings import Settings, read_settings
from aiops.importing.options import options_of
from aiops.importing.report import Fate, Ledger
from aiops.spec.model import ModelSpec, Provider
from aiops.spec.sources import MAPPINGS, PROVIDERS
from aiops.spec.yaml12 import Path
from aiops.spec.yaml_text import block

_DOCUMENTED = ("description", "notes", "size", "quantization", "specialty")


@dataclass
class Written:
    """``origins``: (file, beginning of a path) -> where in the source that comes from."""

    providers: dict[str, dict[str, Any]] = field(default_factory=dict)
    mappings: dict[str, Any] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    origins: dict[tuple[str, Path], Path] = field(default_factory=dict)

    def section(self, name: str) -> dict[str, Any]:
        """One section of the mappings, made when it is needed."""
        made: dict[str, Any] = self.mappings.setdefault(name, {})
        return made

    def sources(self, file: str) -> dict[str, bytes]:
        """The two files that hold what is served."""
        head = f"# {{}}: imported from {file} by `aiops import`.\n\n"
        mappings = {"exact_matches": {}, "fallback_chains": {}, **self.mappings}
        return {
            PROVIDERS: (head.format(PROVIDERS) + block({"providers": self.providers})).encode(),
            MAPPINGS: (head.format(MAPPINGS) + block(mappings)).encode(),
        }


def translate_config(ledger: Ledger, secrets: Secrets) -> Written:
    """Judge every key of the file and write what it means."""
    data = ledger.document.data
    written = Written()
    items = data.get("model_list")
    deployments = [
        found
        for index, item in enumerate(items if isinstance(items, tuple) else ())
        if (found := read_deployment(item, ("model_list", index), ledger)) is not None
    ]
    served = [each for each in deployments if not each.wildcard]
    homes = _Homes(written, ledger, secrets)
    for each in deployments:
        homes.add(each)
    groups: dict[str, list[Deployment]] = {}
    for each in served:
        groups.setdefault(each.name, []).append(each)
    read_settings(ledger, secrets, written.settings)
    for name, members in groups.items():
        _serve(written, ledger, homes, name, members)
    for each in deployments:
        if each.wildcard:
            _wildcard(written, ledger, homes, each)
    _clashes(written)
    _aliases(written, ledger)
    _chains(written)
    return written


class _Homes:
    """The providers of a configuration, each with a name of its own."""

    def __init__(self, written: Written, ledger: Ledger, secrets: Secrets) -> None:
        self.written, self.ledger, self.secrets = written, ledger, secrets
        self.names: dict[object, str] = {}
        self.listed: dict[tuple[str, str], dict[str, Any]] = {}

    def add(self, deployment: Deployment) -> None:
        """Put a deployment where it belongs."""
        providers, file = self.written.providers, PROVIDERS
        name = self.of(deployment)
        entry = providers[name]
        model = _model(deployment, self.ledger)
        if not deployment.wildcard:
            listed = entry.setdefault("models", [])
            same = self.listed.setdefault((name, model["name"]), model)
            if same is model:
                self.written.origins[(file, ("providers", name, "models", len(listed)))] = deployment.path
                listed.append(model)
            model = same
        _rest(deployment, self.ledger, entry, model)

    def of(self, deployment: Deployment) -> str:
        """The provider's name; the provider is made the first time."""
        known = self.names.get(deployment.place)
        if known is not None:
            self._judge_key(deployment, self.written.providers[known].get("api_key_env"))
            return known
        name = _free_name(deployment, self.written.providers)
        self.names[deployment.place] = name
        entry: dict[str, Any] = {"type": deployment.type}
        if deployment.base_url is not None:
            entry["base_url"] = deployment.base_url
        entry["status"] = "active"
        if isinstance(deployment.key, Reference):
            entry["api_key_env"] = deployment.key.name
        elif isinstance(deployment.key, Clear):
            entry["api_key_env"] = self.secrets.keep(variable(name), deployment.key.value)
        self._judge_key(deployment, entry.get("api_key_env"))
        self.written.providers[name] = entry
        self.written.origins[(PROVIDERS, ("providers", name))] = deployment.path
        return name

    def forget(self, name: str) -> None:
        """Take a provider out again of which nothing is asked."""
        if not self.written.providers[name].get("models"):
            entry = self.written.providers.pop(name)
            self.names = {place: other for place, other in self.names.items() if other != name}
            if all(other.get("api_key_env") != entry.get("api_key_env") for other in self.written.providers.values()):
                self.secrets.env.pop(entry.get("api_key_env", ""), None)

    def _judge_key(self, deployment: Deployment, name: str | None) -> None:
        path = (*deployment.path, "litellm_params", "api_key")
        if isinstance(deployment.key, Clear):
            self.ledger.translated(path, "a key in clear: moved out of the file", f"secrets/env: {name}")
        elif deployment.key is not None:
            self.ledger.translated(path, "a reference to the environment is `api_key_env` here", "api_key_env")
        else:
            self.ledger.dropped(path, "it stands for no key, and a provider without one needs no word for it")


def _free_name(deployment: Deployment, taken: Mapping[str, Any]) -> str:
    """The type; with the host, the port, or a number when that is taken."""
    host = port = ""
    if deployment.base_url and "${" not in deployment.base_url:
        parts = urlsplit(deployment.base_url)
        host, port = (parts.hostname or "").replace(":", "-"), str(parts.port or "")
    names = [deployment.type]
    if host and host not in ("127.0.0.1", "localhost", "0.0.0.0"):  # noqa: S104 — compared, not bound
        names.append(f"{deployment.type}-{host}"[:56])
    if port:
        names.append(f"{names[-1]}-{port}")
    count = 2
    while all(name in taken for name in names):
        names.append(f"{deployment.type}-{count}")
        count += 1
    return next(name for name in names if name not in taken)


def _model(deployment: Deployment, ledger: Ledger) -> dict[str, Any]:
    """The model as its provider lists it, with what ``model_info`` says of it."""
    model: dict[str, Any] = {"name": deployment.backend}
    if deployment.mode != "chat":
        model["mode"] = deployment.mode
    for key, value in deployment.info.items():
        path = (*deployment.path, "model_info", key)
        if key == "mode":
            ledger.translated(path, "a model says it itself here", "models[].mode")
        elif key == "id":
            ledger.dropped(path, "a deployment's id is made from what it is, the same on every machine")
        elif key == "max_input_tokens" and isinstance(value, int):
            model["context_length"] = value
            ledger.translated(path, "called `context_length` here", "models[].context_length")
        elif key in _DOCUMENTED and isinstance(value, str):
            model[key] = value
            ledger.documentation(path, to="the model")
        elif key == "input_cost_per_token" and "cost_per_1k_tokens" in ModelSpec.model_fields and _is_number(value):
            model["cost_per_1k_tokens"] = round(value * 1000, 9)
            ledger.translated(path, "per 1,000 tokens here", "models[].cost_per_1k_tokens")
        elif key in ("rpm", "tpm"):
            ledger.kept(path)
        else:
            ledger.documentation(path, "shown by LiteLLM only; write it as `notes` of the model to keep it")
    return model


def _rest(deployment: Deployment, ledger: Ledger, entry: dict[str, Any], model: dict[str, Any]) -> None:
    """What else stands beside the model: options, limits, and keys in the wrong place."""
    options = options_of(deployment.type) if "options" in ModelSpec.model_fields else {}
    params = (*deployment.path, "litellm_params")
    for key in deployment.extra:
        path = (*params, key)
        if key in ("model", "api_base", "base_url", "api_key", "custom_llm_provider", "weight", "rpm", "tpm", "order"):
            continue
        if key == "max_parallel_requests" and "max_parallel" in Provider.model_fields:
            entry["max_parallel"] = max(entry.get("max_parallel", 0), deployment.extra[key])
            ledger.translated(path, "of the whole provider here", "max_parallel")
        elif (option := options.get(key)) is not None:
            model.setdefault("options", {})[option] = deployment.extra[key]
            ledger.translated(path, "an option of the model", f"models[].options.{option}")
        elif key in DEPLOYMENT:
            ledger.decide(path, DEPLOYMENT[key])
        else:
            ledger.decide(path, "was sent with every request; no option of this type of provider is called that")
    ledger.kept((*deployment.path, "model_name"))
    for key in ("rpm", "tpm"):
        where = (*deployment.path, key)
        ledger.dropped(where, f"LiteLLM reads `{key}` below `litellm_params` only: here it never had an effect")


def _serve(written: Written, ledger: Ledger, homes: _Homes, name: str, members: list[Deployment]) -> None:
    """One public name: an exact match, a group, or nothing when its provider lists it under that very name."""
    if len(members) > 1:
        _group(written, ledger, homes, name, members)
        return
    (only,) = members
    match: dict[str, Any] = {"provider": homes.of(only)}
    if only.backend != name:
        match["backend_model"] = only.backend
    limits = {key: value for key, value in (("rpm", only.rpm), ("tpm", only.tpm)) if value}
    if limits:
        match["rate_limit"] = limits
        place = (*only.path, "litellm_params", next(iter(limits)))
        written.origins[(MAPPINGS, ("exact_matches", name, "rate_limit"))] = place
        for key in limits:
            why = "a limit that holds; LiteLLM needs `enforce_model_rate_limits` for that"
            ledger.translated((*only.path, "litellm_params", key), why, f"exact_matches.{name}.rate_limit")
    for key in ("weight", "order"):
        ledger.dropped((*only.path, "litellm_params", key), "the only deployment of its name has no one to share with")
    if len(match) > 1:
        written.section("exact_matches")[name] = match
        written.origins[(MAPPINGS, ("exact_matches", name))] = only.path


def _group(written: Written, ledger: Ledger, homes: _Homes, name: str, members: list[Deployment]) -> None:
    """Several deployments of one name. LiteLLM shares by weight, else by rpm, else by tpm, else equally."""
    ordered = members
    group: dict[str, Any] = {}
    if any(each.order is not None for each in members):
        ordered = sorted(members, key=lambda each: each.order if each.order is not None else 1 << 30)
        group["strategy"] = "direct"
    shares = next(
        (
            (key, values)
            for key in ("weight", "rpm", "tpm")
            if any(values := [getattr(each, key) or 0 for each in ordered])
        ),
        None,
    )
    weights: list[float] = []
    if shares is not None and all(shares[1]) and "strategy" not in group:
        total = sum(shares[1])
        weights = [round(value / total, 4) for value in shares[1]]
        weights[0] = round(weights[0] + 1 - sum(weights), 4)
    group["providers"] = [
        {"provider": homes.of(each), "preferred_model": each.backend, **({"weight": weight} if weights else {})}
        for each, weight in zip(ordered, weights or [0.0] * len(ordered), strict=True)
    ]
    for each in ordered:
        for key in ("weight", "rpm", "tpm", "order"):
            path = (*each.path, "litellm_params", key)
            if key == "order" and group.get("strategy") == "direct":
                ledger.translated(path, "the order in which they are written", f"load_balancing.{name}")
            elif weights and shares is not None and key == shares[0]:
                ledger.translated(path, "shares requests, as in LiteLLM", f"load_balancing.{name}: weight")
            elif shares is not None and key == shares[0] and "strategy" not in group:
                ledger.decide(path, "some of the deployments have none: give each of them a weight, or none")
            else:
                ledger.decide(path, "among several deployments it limits nothing; `exact_matches` can limit the name")
    written.section("load_balancing")[name] = group
    written.origins[(MAPPINGS, ("load_balancing", name))] = members[0].path


def _wildcard(written: Written, ledger: Ledger, homes: _Homes, deployment: Deployment) -> None:
    rules = written.section("routing_rules")
    if deployment.name == "*" and deployment.backend == "*" and "default_provider" not in rules:
        rules["default_provider"] = homes.of(deployment)
        ledger.translated(
            (*deployment.path, "model_name"), "every name that nothing else knows", "routing_rules.default_provider"
        )
    else:
        why = "a name with `*`: list the models of its provider, or write a pattern for it"
        homes.forget(homes.of(deployment))
        ledger.overrule(deployment.path, Fate.DECISION, why)


def _clashes(written: Written) -> None:
    """A name that two providers list has one owner: the first, as nobody asked for it by that name before."""
    owners: dict[str, str] = {}
    matches = written.section("exact_matches")
    for provider, entry in written.providers.items():
        for model in entry.get("models", ()):
            name = model["name"]
            owner = owners.setdefault(name, provider)
            if owner != provider and name not in matches and name not in written.mappings.get("load_balancing", {}):
                matches[name] = {"provider": owner}


def _aliases(written: Written, ledger: Ledger) -> None:
    groups, matches = written.mappings.get("load_balancing", {}), written.section("exact_matches")
    listed = {model["name"]: name for name, entry in written.providers.items() for model in entry.get("models", ())}
    for alias, (target, path, why) in written.settings.aliases.items():
        section = "exact_matches"
        if target in groups:
            section = "load_balancing"
            written.section("load_balancing")[alias] = groups[target]
        elif target in matches:
            matches[alias] = {"backend_model": target, **matches[target]}
        elif target in listed:
            matches[alias] = {"provider": listed[target], "backend_model": target}
        else:
            ledger.decide(path, f"`{target}` is not served, so this alias never answered")
            continue
        written.origins[(MAPPINGS, (section, alias))] = path
        ledger.translated(path, why, f"{section}.{alias}")


def _chains(written: Written) -> None:
    settings = written.settings
    for name, (chain, path) in settings.chains.items():
        written.section("fallback_chains")[name] = {"chain": chain}
        written.origins[(MAPPINGS, ("fallback_chains", name))] = path
        for index in range(len(chain)):
            written.origins[(MAPPINGS, ("fallback_chains", name, "chain", index))] = (*path, index)
    if settings.rules:
        written.section("routing_rules").update(settings.rules)
    if settings.special:
        written.section("special_cases").update(settings.special)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
