"""What must hold between providers, mappings and settings. Every rule reports; none stops the others."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from aiops.errors import Problem
from aiops.spec.load.check_fallbacks import fallback_problem, unsuited, unsuited_words
from aiops.spec.load.check_groups import check_groups
from aiops.spec.load.check_rules import check_rules
from aiops.spec.load.draft import Draft, Suggester
from aiops.spec.load.ports import check_ports
from aiops.spec.routes.routing import DEFAULT, Routing
from aiops.spec.shapes.mappings import Mappings
from aiops.spec.shapes.model import Provider
from aiops.spec.shapes.urls import is_loopback, place
from aiops.spec.sources import MAPPINGS, PROVIDERS
from aiops.spec.suggest import did_you_mean
from aiops.spec.yaml.yaml12 import Path


def check(draft: Draft) -> list[Problem]:
    """Every problem between the parts of a draft."""
    mappings = draft.mappings if draft.rules_complete else None
    routing = Routing.of(
        draft.providers, draft.exact_matches, draft.fallback_chains, mappings, draft.names, draft.broken
    )
    problems = [*_places(draft), *_groups(draft), *_lists(draft), *_clashes(draft, routing), *_idle(draft)]
    problems += check_ports(draft.documents, draft.ports, draft.providers, draft.gateway_port, draft.admin_port)
    if draft.complete:
        problems += [*_matches(draft, routing), *_chains(draft, routing)]
    if draft.complete and draft.rules_complete:
        problems += [*check_groups(draft, routing), *check_rules(draft, routing)]
    return problems


def _places(draft: Draft) -> Iterator[Problem]:
    """One server per address, and none on the gateway's own."""
    taken: dict[tuple[str, int, str], str] = {}
    for name, provider in draft.providers.items():
        if provider.status != "active" or not provider.base_url:
            continue
        path = ("providers", name, "base_url")
        at = place(provider.base_url)
        ours = {draft.gateway_port: "the gateway's own", draft.admin_port: "`gateway.admin_port`"}
        if at[1] in ours and is_loopback(urlsplit(provider.base_url).hostname or ""):
            yield draft.problem(
                PROVIDERS, path, f"`{name}` is on port {at[1]}, which is {ours[at[1]]}", "one of them must move"
            )
        if provider.kind.cloud or provider.same_server_as is not None:
            continue
        if at in taken:
            other = taken[at]
            line = draft.documents[PROVIDERS].line(("providers", other, "base_url"))
            message = f"`{name}` and `{other}` (line {line}) are both active on {at[0]} port {at[1]}"
            hint = f"disable one, or correct the port; if it is one server with two keys, say `same_server_as: {other}`"
            yield draft.problem(PROVIDERS, path, message, hint)
        taken.setdefault(at, name)
    yield from _same_servers(draft)


def _same_servers(draft: Draft) -> Iterator[Problem]:
    """A provider that is another way to a server stands at the address of one that is none."""
    for name, provider in draft.providers.items():
        other = provider.same_server_as
        if other is None or provider.status == "template":
            continue
        path = ("providers", name, "same_server_as")
        first = draft.providers.get(other)
        if other not in draft.all_providers or other == name:
            hint = did_you_mean(other, draft.all_providers - {name})
            message = f"`{name}`: `same_server_as` names `{other}`, which is no other provider"
            yield draft.problem(PROVIDERS, path, message, hint)
        elif first is not None and first.same_server_as is not None:
            hint = f"name `{first.same_server_as}`"
            yield draft.problem(PROVIDERS, path, f"`{name}`: `{other}` is such another way itself", hint)
        elif first is not None and _server(first) != _server(provider):
            line = draft.documents[PROVIDERS].line(("providers", other))
            message = f"`{name}` and `{other}` (line {line}) do not have the same host and port"
            yield draft.problem(PROVIDERS, path, message, "correct `base_url`, or remove `same_server_as`")


def _server(provider: Provider) -> tuple[str, int] | None:
    return place(provider.base_url)[:2] if provider.base_url else None


def _groups(draft: Draft) -> Iterator[Problem]:
    """Of one exclusive group one provider is active: the others do not run meanwhile."""
    taken: dict[str, str] = {}
    for name, provider in draft.providers.items():
        group = provider.service.exclusive_group if provider.service else None
        if provider.status != "active" or group is None:
            continue
        if group in taken:
            path: Path = ("providers", name, "service", "exclusive_group")
            message = f"`{name}` and `{taken[group]}` are both active, but only one of group `{group}` can run"
            hint = f"disable one; `aiops switch {taken[group]} {name}` changes over without a gap"
            yield draft.problem(PROVIDERS, path, message, hint)
        taken.setdefault(group, name)


def _lists(draft: Draft) -> Iterator[Problem]:
    """A provider lists each model once."""
    for name, provider in draft.providers.items():
        seen: dict[str, int] = {}
        for index, model in enumerate(provider.models):
            if model.name in seen:
                first = draft.documents[PROVIDERS].line(("providers", name, "models", seen[model.name]))
                message = f"`{name}` lists the model `{model.name}` twice"
                yield draft.problem(
                    PROVIDERS, ("providers", name, "models", index), message, f"the first is on line {first}"
                )
            seen.setdefault(model.name, index)


def _clashes(draft: Draft, routing: Routing) -> Iterator[Problem]:
    """Each served name has one owner."""
    for model, owners in routing.clashes.items():
        if model in draft.broken_matches:
            continue
        first, *others = [(owner, _line_of_model(draft, owner, model)) for owner in owners]
        for owner, line in others:
            message = f"`{model}` is offered by `{owner}` and by `{first[0]}` (line {first[1]})"
            yield Problem(
                PROVIDERS,
                line,
                message,
                f'decide with an exact match in {MAPPINGS}: "{model}": {{provider: {first[0]}}}',
            )


def _line_of_model(draft: Draft, provider: str, model: str) -> int:
    index = next(i for i, item in enumerate(draft.providers[provider].models) if item.name == model)
    return draft.documents[PROVIDERS].line(("providers", provider, "models", index))


def _idle(draft: Draft) -> Iterator[Problem]:
    """An active provider serves something."""
    used = {match.provider for match in draft.exact_matches.values()} | _used_by_rules(draft.mappings)
    for name, provider in draft.providers.items():
        if (
            provider.status == "active"
            and not provider.models
            and name not in used
            and draft.complete
            and draft.rules_complete
            and not draft.broken_matches
        ):
            hint = "list some, or `status: disabled`"
            yield draft.problem(PROVIDERS, ("providers", name), f"`{name}` is active but has no models", hint)


def _used_by_rules(mappings: Mappings) -> set[str | None]:
    """Providers that answer for names they do not list."""
    rules = mappings.rules
    return {
        rules.default_provider,
        *(rule.provider for rule in mappings.patterns),
        *(rule.provider for rule in rules.model_size_routing),
        *(member.provider for balanced in mappings.load_balancing.values() for member in balanced.providers),
    }


def _matches(draft: Draft, routing: Routing) -> Iterator[Problem]:
    """Exact matches point at something that exists, and fall back to something that answers."""
    suggest = Suggester(draft)
    for name, match in draft.exact_matches.items():
        path: Path = ("exact_matches", name)
        yield from draft.provider_problem((*path, "provider"), f"`{name}`", match.provider)
        backend = match.backend_model or name
        at = (*path, "backend_model" if match.backend_model else "provider")
        hint = "set `backend_model` to one that it lists"
        yield from draft.listed_problem(at, f"`{name}`", match.provider, backend, hint)
        yield from draft.option_problems((*path, "options"), match.provider, backend, match.options)
        if match.fallback is not None:
            yield from fallback_problem(draft, routing, suggest, (*path, "fallback"), name, match.fallback)


def _chains(draft: Draft, routing: Routing) -> Iterator[Problem]:
    suggest = Suggester(draft)
    for name, chain in draft.fallback_chains.items():
        path: Path = ("fallback_chains", name)
        if name != DEFAULT and name not in draft.names:
            yield draft.problem(MAPPINGS, path, f"a fallback chain for `{name}`, which is not served", suggest(name))
        if name == DEFAULT and not chain.chain:
            yield draft.problem(MAPPINGS, path, "the `default` chain is empty", "list models, or remove it")
        where = (*path, "chain") if isinstance(draft.documents[MAPPINGS].data["fallback_chains"][name], dict) else path
        seen: set[str] = set()
        for index, wanted in enumerate(chain.chain):
            at = (*where, index)
            if wanted == name and name != DEFAULT:
                yield draft.problem(MAPPINGS, at, f"the chain of `{name}` contains itself")
            elif wanted in seen:
                yield draft.problem(MAPPINGS, at, f"the chain of `{name}` contains `{wanted}` twice")
            elif wanted not in draft.names:
                yield draft.problem(
                    MAPPINGS, at, f"the chain of `{name}` names `{wanted}`, which is not served", suggest(wanted)
                )
            elif name in routing.targets and name != DEFAULT and unsuited(routing, routing.targets[name], wanted):
                yield draft.problem(MAPPINGS, at, *unsuited_words(name, wanted))
            seen.add(wanted)
        for key, names in (("context_window", chain.context_window), ("content_policy", chain.content_policy)):
            for index, wanted in enumerate(names):
                at = (*path, key, index)
                if wanted == name:
                    yield draft.problem(MAPPINGS, at, f"the chain of `{name}` contains itself")
                elif wanted not in draft.names:
                    message = f"`{key}` of `{name}` names `{wanted}`, which is not served"
                    yield draft.problem(MAPPINGS, at, message, suggest(wanted))
                elif name in routing.targets and name != DEFAULT and unsuited(routing, routing.targets[name], wanted):
                    yield draft.problem(MAPPINGS, at, *unsuited_words(name, wanted))
