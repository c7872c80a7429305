"""LiteLLM's ``config.yaml`` -> our three files, written anew."""

from __future__ import annotations

from typing import Any

from aiops.importing.deployments import Deployment, read_deployment
from aiops.importing.keys import Secrets
from aiops.importing.litellm_providers import Homes
from aiops.importing.litellm_settings import read_settings
from aiops.importing.report import Fate, Ledger
from aiops.importing.written import Written
from aiops.spec.sources import MAPPINGS

_LIMITS = ("rpm", "tpm")


def translate_config(ledger: Ledger, secrets: Secrets) -> Written:
    """Judge every key of the file and write what it means."""
    data = ledger.document.data
    written = Written()
    items = data.get("model_list")
    if "model_list" in data and not (isinstance(items, tuple) and items):
        ledger.decide(("model_list",), "not a list of deployments: nothing is served")
    deployments = [
        found
        for index, item in enumerate(items if isinstance(items, tuple) else ())
        if (found := read_deployment(item, ("model_list", index), ledger)) is not None
    ]
    served = [each for each in deployments if not each.wildcard]
    homes = Homes(written, ledger, secrets)
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
    homes.forget_unasked()
    _clashes(written)
    _aliases(written, ledger)
    _chains(written)
    return written


def _serve(written: Written, ledger: Ledger, homes: Homes, name: str, members: list[Deployment]) -> None:
    """One public name: an exact match, a group, or nothing when its provider lists it under that very name."""
    if len(members) > 1:
        _group(written, ledger, homes, name, members)
        return
    (only,) = members
    match: dict[str, Any] = {"provider": homes.of(only)}
    if only.backend != name:
        match["backend_model"] = only.backend
    limits = {key: value for key in _LIMITS if (value := getattr(only, key) or 0) > 0}
    if limits:
        match["rate_limit"] = limits
        place = (*only.path, "litellm_params", next(iter(limits)))
        written.origins[(MAPPINGS, ("exact_matches", name, "rate_limit"))] = place
        for key in limits:
            why = "a limit that holds; LiteLLM needs `enforce_model_rate_limits` for that"
            ledger.translated((*only.path, "litellm_params", key), why, f"exact_matches.{name}.rate_limit")
    for key in only.extra.keys() & set(_LIMITS) - limits.keys():
        ledger.decide((*only.path, "litellm_params", key), "a limit is a whole number above 0")
    for key in ("weight", "order"):
        ledger.dropped((*only.path, "litellm_params", key), "the only deployment of its name has no one to share with")
    if len(match) > 1:
        written.section("exact_matches")[name] = match
        written.origins[(MAPPINGS, ("exact_matches", name))] = only.path


def _group(written: Written, ledger: Ledger, homes: Homes, name: str, members: list[Deployment]) -> None:
    """Several deployments of one name. LiteLLM shares by weight, else by rpm, else by tpm, else equally."""
    ordered = members
    group: dict[str, Any] = {}
    if any(each.order is not None for each in members):
        ordered = sorted(members, key=lambda each: each.order if each.order is not None else 1 << 30)
        group["strategy"] = "direct"
    shares = next(
        ((key, values) for key in ("weight", *_LIMITS) if any(values := [getattr(each, key) or 0 for each in ordered])),
        None,
    )
    weights: list[float] = []
    if shares is not None and all(value > 0 for value in shares[1]) and "strategy" not in group:
        total = sum(shares[1])
        weights = [round(value / total, 4) for value in shares[1]]
        weights[0] = round(weights[0] + 1 - sum(weights), 4)
    group["providers"] = [
        {"provider": homes.of(each), "preferred_model": each.backend, **({"weight": weight} if weights else {})}
        for each, weight in zip(ordered, weights or [0.0] * len(ordered), strict=True)
    ]
    for each in ordered:
        for key in ("weight", *_LIMITS, "order"):
            path = (*each.path, "litellm_params", key)
            if key == "order" and group.get("strategy") == "direct":
                ledger.translated(path, "the order in which they are written", f"load_balancing.{name}")
            elif weights and shares is not None and key == shares[0]:
                ledger.translated(path, "shares requests, as in LiteLLM", f"load_balancing.{name}: weight")
            elif shares is not None and key == shares[0] and "strategy" not in group:
                ledger.decide(path, "not each of the deployments has one above 0: give each of them a weight, or none")
            else:
                ledger.decide(path, "among several deployments it limits nothing; `exact_matches` can limit the name")
    written.section("load_balancing")[name] = group
    written.origins[(MAPPINGS, ("load_balancing", name))] = members[0].path


def _wildcard(written: Written, ledger: Ledger, homes: Homes, deployment: Deployment) -> None:
    rules = written.section("routing_rules")
    if deployment.name == "*" and deployment.backend == "*" and "default_provider" not in rules:
        rules["default_provider"] = homes.of(deployment)
        ledger.translated(
            (*deployment.path, "model_name"), "every name that nothing else knows", "routing_rules.default_provider"
        )
    else:
        why = "a name with `*`: list the models of its provider, or write a pattern for it"
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
