"""LiteLLM's ``config.yaml`` -> our three files, written anew."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aiops.importing.deployments import Deployment, read_deployment
from aiops.importing.keys import Secrets
from aiops.importing.litellm_options import Options
from aiops.importing.litellm_providers import Homes
from aiops.importing.litellm_settings import read_settings
from aiops.importing.report import Fate, Ledger
from aiops.importing.written import Written
from aiops.spec.sources import MAPPINGS
from aiops.spec.yaml.yaml12 import Path

_LIMITS = ("rpm", "tpm")


def translate_config(ledger: Ledger, secrets: Secrets, env: Mapping[str, str]) -> Written:
    """Judge every key of the file and write what it means. ``env``: the variables that it may refer to."""
    data = ledger.document.data
    written = Written()
    items = data.get("model_list")
    if "model_list" in data and not (isinstance(items, tuple) and items):
        ledger.decide(("model_list",), "not a list of deployments: nothing is served")
    deployments = [
        found
        for index, item in enumerate(items if isinstance(items, tuple) else ())
        if (found := read_deployment(item, ("model_list", index), ledger, env)) is not None
    ]
    read_settings(ledger, secrets, written.settings)
    _Config(written, ledger, Homes(written, ledger, secrets, env), Options(ledger, secrets)).write(deployments)
    _aliases(written, ledger)
    _chains(written)
    return written


class _Config:
    """The deployments of one configuration, on their way into providers and names."""

    def __init__(self, written: Written, ledger: Ledger, homes: Homes, options: Options) -> None:
        self.written, self.ledger, self.homes = written, ledger, homes
        self._read = options
        self.options: dict[Path, dict[str, Any]] = {}
        self.named: set[tuple[str, str]] = set()

    def write(self, deployments: list[Deployment]) -> None:
        groups: dict[str, list[tuple[Deployment, int]]] = {}
        wildcards: list[Deployment] = []
        for each in deployments:
            self._misplaced(each)
            self.options[each.path] = self._read.of(each)
            if each.wildcard:
                self.homes.add(each, apart=self._apart(wildcards, each))
                wildcards.append(each)
                continue
            members = groups.setdefault(each.name, [])
            same = [(other, count) for other, count in members if self._same(other, each)]
            if same:  # the same once more: a share more
                members[members.index(same[0])] = (same[0][0], same[0][1] + 1)
                why = "the same deployment again: a share more"
                self.ledger.overrule(each.path, Fate.TRANSLATED, why, f"load_balancing.{each.name}: weight")
                continue
            self.homes.add(each, apart=self._apart([other for other, _ in members], each))
            members.append((each, 1))
        for name, found in groups.items():
            if len(found) > 1:
                self._group(name, [each for each, _ in found], [count for _, count in found])
            else:
                self._serve(name, found[0][0])
        self._wildcards(wildcards)
        for provider, entry in self.written.providers.items():
            if self.written.settings.drop_params:
                entry["options"] = {"drop_params": True, **entry.get("options", {})}
            for model in entry.get("models", ()):
                if (provider, model["name"]) not in self.named:
                    model["public"] = False  # it had no name of its own
        self.homes.forget_unasked()

    def _misplaced(self, each: Deployment) -> None:
        for key in ("rpm", "tpm"):
            why = f"LiteLLM reads `{key}` below `litellm_params` only: here it never had an effect"
            self.ledger.dropped((*each.path, key), why)

    def _same(self, one: Deployment, other: Deployment) -> bool:
        asks = [(each.place, each.backend, self.options[each.path], each.weight, each.order) for each in (one, other)]
        return asks[0] == asks[1]

    def _apart(self, others: list[Deployment], each: Deployment) -> int:
        """How many ask the same model of the same provider, or pass names on to it, with other options."""
        mine = (each.place, each.backend if not each.wildcard else None)
        theirs = [other for other in others if (other.place, other.backend if not each.wildcard else None) == mine]
        if each.wildcard:
            theirs = [other for other in theirs if self.options[other.path] != self.options[each.path]]
        return len(theirs)

    def _place_options(self, each: Deployment, where: dict[str, Any]) -> None:
        """The options of a deployment: at its model when nobody else asks for that, else at the name."""
        options = self.options[each.path]
        if options and self.homes.is_alone(each):
            self.homes.model(each)["options"] = options
        elif options:
            where["options"] = options

    def _serve(self, name: str, only: Deployment) -> None:
        """One public name: an exact match, or nothing when its provider lists it under that very name."""
        match: dict[str, Any] = {"provider": self.homes.of(only)}
        if only.backend != name:
            match["backend_model"] = only.backend
        limits = {key: value for key in _LIMITS if (value := getattr(only, key) or 0) > 0}
        enforced = self.written.settings.enforced
        params = (*only.path, "litellm_params")
        if limits and enforced:
            match["rate_limit"] = limits
            place = (*params, next(iter(limits)))
            self.written.origins[(MAPPINGS, ("exact_matches", name, "rate_limit"))] = place
        for key in limits:
            if enforced:
                self.ledger.translated((*params, key), "a limit, as before", f"exact_matches.{name}.rate_limit")
            else:
                why = "it limited nothing: LiteLLM chooses by it among several deployments, and holds nobody to it"
                self.ledger.dropped((*params, key), f"{why} without `enforce_model_rate_limits`")
        for key in only.params.keys() & set(_LIMITS) - limits.keys():
            self.ledger.decide((*params, key), "a limit is a whole number above 0")
        for key in ("weight", "order"):
            self.ledger.dropped((*params, key), "the only deployment of its name has no one to share with")
        self._place_options(only, match)
        if len(match) > 1 or not self._owns(only):
            self.written.section("exact_matches")[name] = match
            self.written.origins[(MAPPINGS, ("exact_matches", name))] = only.path
        else:
            self.named.add((self.homes.of(only), only.backend))

    def _owns(self, only: Deployment) -> bool:
        """Whether the list of its provider is enough: nobody else lists the name as one for callers."""
        return all(backend != only.backend for _, backend in self.named)

    def _group(self, name: str, members: list[Deployment], counts: list[int]) -> None:
        """Several deployments of one name. LiteLLM shares by weight, else by rpm, else by tpm, else equally."""
        order = list(range(len(members)))
        group: dict[str, Any] = {}
        if any(each.order is not None for each in members):
            orders = [each.order if each.order is not None else 1 << 30 for each in members]
            order.sort(key=orders.__getitem__)
            group["strategy"] = "direct"
        ordered, times = [members[at] for at in order], [counts[at] for at in order]
        shares = next(
            (
                (key, values)
                for key in ("weight", *_LIMITS)
                if any(values := [(getattr(each, key) or 0) * n for each, n in zip(ordered, times, strict=True)])
            ),
            ("", times) if len(set(times)) > 1 else None,
        )
        weights: list[float] = []
        if shares is not None and all(value > 0 for value in shares[1]) and "strategy" not in group:
            total = sum(shares[1])
            weights = [round(value / total, 4) for value in shares[1]]
            weights[0] = round(weights[0] + 1 - sum(weights), 4)
        written: list[dict[str, Any]] = []
        for at, each in enumerate(ordered):
            member: dict[str, Any] = {"provider": self.homes.of(each), "preferred_model": each.backend}
            self._place_options(each, member)
            written.append(member | ({"weight": weights[at]} if weights else {}))
        group["providers"] = written
        for each in ordered:
            self._judge_shares(name, each, shares[0] if shares else None, group.get("strategy"), bool(weights))
        self.written.section("load_balancing")[name] = group
        self.written.origins[(MAPPINGS, ("load_balancing", name))] = members[0].path

    def _judge_shares(self, name: str, each: Deployment, by: str | None, strategy: str | None, weighted: bool) -> None:
        for key in ("weight", *_LIMITS, "order"):
            path = (*each.path, "litellm_params", key)
            if key == "order" and strategy == "direct":
                self.ledger.translated(path, "the order in which they are written", f"load_balancing.{name}")
            elif weighted and key == by:
                self.ledger.translated(path, "shares requests, as in LiteLLM", f"load_balancing.{name}: weight")
            elif key == by and strategy is None:
                why = "not each of the deployments has one above 0: give each of them a weight, or none"
                self.ledger.decide(path, why)
            elif key in _LIMITS and not self.written.settings.enforced:
                self.ledger.dropped(path, "LiteLLM chose by something else, and held nobody to it")
            else:
                why = "among several deployments it limits nothing; `exact_matches` can limit the name"
                self.ledger.decide(path, why)

    def _wildcards(self, wildcards: list[Deployment]) -> None:
        """Names with `*`: the longest wins in LiteLLM, the first of the file in aiops."""
        taken: set[str] = set()
        for each in sorted(wildcards, key=lambda each: (-len(each.name.replace("*", "")), each.path)):
            model_name, home = (*each.path, "model_name"), self.homes.of(each)
            if each.name in taken:
                why = "a second deployment of a name with `*`: a rule leads to one provider, and the first counts"
                self.ledger.overrule(each.path, Fate.DECISION, why)
                continue
            taken.add(each.name)
            if options := self.options[each.path]:
                # What a provider is asked for by rules alone has only the options of the provider.
                self.written.providers[home]["options"] = options
            if each.name == "*" and each.backend == "*":
                self.written.section("routing_rules")["default_provider"] = home
                self.ledger.translated(
                    model_name, "every name that nothing else knows", "routing_rules.default_provider"
                )
                continue
            pattern = "^" + re.escape(each.name).replace("\\*", "(.*)").replace("\\-", "-").replace("\\/", "/") + "$"
            rule: dict[str, Any] = {"pattern": pattern, "provider": home}
            if "*" in each.backend:
                renamed = each.backend.replace("*", "\\1", 1)
                if each.backend != each.name:
                    rule["rename"] = renamed
            else:
                rule["backend_model"] = each.backend
            at = len(self.written.mappings.setdefault("patterns", []))
            self.written.mappings["patterns"].append(rule)
            self.written.origins[(MAPPINGS, ("patterns", at))] = each.path
            self.ledger.translated(model_name, "a pattern here", f"patterns: {pattern}")


def _aliases(written: Written, ledger: Ledger) -> None:
    groups, matches = written.mappings.get("load_balancing", {}), written.section("exact_matches")
    listed = {
        model["name"]: name
        for name, entry in written.providers.items()
        for model in entry.get("models", ())
        if model.get("public", True)
    }
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
    for (key, name), (chain, path) in settings.chains.items():
        entry = written.section("fallback_chains").setdefault(name, {"chain": []})
        entry[key] = chain
        written.origins.setdefault((MAPPINGS, ("fallback_chains", name)), path)
        for index in range(len(chain)):
            written.origins[(MAPPINGS, ("fallback_chains", name, key, index))] = (*path, index)
    default = settings.chains.get(("chain", "default"))
    for entry in written.mappings.get("fallback_chains", {}).values():
        if not entry["chain"] and default is not None:
            entry["chain"] = list(default[0])  # a chain of its own goes before the default one
    if settings.rules:
        written.section("routing_rules").update(settings.rules)
    if settings.special:
        written.section("special_cases").update(settings.special)
