"""What must hold between providers, mappings and settings. Every rule reports; none stops the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from aiops.errors import Problem
from aiops.spec.model import Chain, ExactMatch, Port, Provider, Settings
from aiops.spec.ports import check_ports
from aiops.spec.routing import DEFAULT, Routing, Target, suits
from aiops.spec.sources import MAPPINGS, PROVIDERS
from aiops.spec.suggest import did_you_mean
from aiops.spec.urls import is_loopback, place
from aiops.spec.yaml12 import Document, Path

_SUGGESTIONS = 20
"""Finding the nearest of 10,000 names takes tens of milliseconds: after this many the reader has got the idea."""


@dataclass
class Draft:
    """A desired state on its way: the well-formed parts, and the names of the rest, which are not unknown."""

    documents: Mapping[str, Document]
    settings: Settings | None = None
    gateway_port: int | None = None
    providers: dict[str, Provider] = field(default_factory=dict)
    exact_matches: dict[str, ExactMatch] = field(default_factory=dict)
    fallback_chains: dict[str, Chain] = field(default_factory=dict)
    ports: dict[str, Port] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    broken_matches: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    templates: dict[str, str] = field(default_factory=dict)
    complete: bool = True

    def declare(self, provider: str, models: list[str], status: object) -> None:
        """Remember what a provider lists, well-formed or not."""
        if status == "template":
            self.templates.update(dict.fromkeys(models, provider))
        else:
            self.names.update(models)

    @property
    def all_providers(self) -> set[str]:
        """Every provider that is written down, broken ones included."""
        return set(self.providers) | self.broken

    def problem(self, file: str, path: Path, message: str, hint: str = "") -> Problem:
        """A problem at the line of ``path``."""
        return Problem(file, self.documents[file].line(path) if file in self.documents else 0, message, hint)


def check(draft: Draft) -> list[Problem]:
    """Every problem between the parts of a draft."""
    routing = Routing.of(draft.providers, draft.exact_matches, draft.fallback_chains)
    problems = [*_places(draft), *_groups(draft), *_lists(draft), *_clashes(draft, routing), *_idle(draft)]
    problems += check_ports(draft.documents, draft.ports, draft.providers, draft.gateway_port)
    if draft.complete:
        problems += [*_matches(draft, routing), *_chains(draft, routing), *_cycles(draft, routing)]
    return problems


def _places(draft: Draft) -> Iterator[Problem]:
    """One server per address, and none on the gateway's own."""
    taken: dict[tuple[str, int, str], str] = {}
    for name, provider in draft.providers.items():
        if provider.status != "active" or not provider.base_url:
            continue
        path = ("providers", name, "base_url")
        at = place(provider.base_url)
        if draft.gateway_port == at[1] and is_loopback(urlsplit(provider.base_url).hostname or ""):
            yield draft.problem(
                PROVIDERS, path, f"`{name}` is on port {at[1]}, which is the gateway's own", "one of them must move"
            )
        if provider.kind.cloud:
            continue
        if at in taken:
            other = taken[at]
            line = draft.documents[PROVIDERS].line(("providers", other, "base_url"))
            message = f"`{name}` and `{other}` (line {line}) are both active on {at[0]} port {at[1]}"
            yield draft.problem(PROVIDERS, path, message, "disable one, or correct the port")
        taken.setdefault(at, name)


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
    used = {match.provider for match in draft.exact_matches.values()}
    for name, provider in draft.providers.items():
        if (
            provider.status == "active"
            and not provider.models
            and name not in used
            and draft.complete
            and not draft.broken_matches
        ):
            hint = "list some, or `status: disabled`"
            yield draft.problem(PROVIDERS, ("providers", name), f"`{name}` is active but has no models", hint)


def _matches(draft: Draft, routing: Routing) -> Iterator[Problem]:
    """Exact matches point at something that exists, and fall back to something that answers."""
    suggest = _Suggester(draft)
    for name, match in draft.exact_matches.items():
        path = ("exact_matches", name)
        provider = draft.providers.get(match.provider)
        if match.provider not in draft.all_providers:
            hint = did_you_mean(match.provider, draft.all_providers, f"it is not in {PROVIDERS}")
            yield draft.problem(MAPPINGS, (*path, "provider"), f"`{name}`: unknown provider `{match.provider}`", hint)
        elif provider is not None and provider.status == "template":
            message = f"`{name}`: the provider `{match.provider}` is a template"
            yield draft.problem(MAPPINGS, (*path, "provider"), message, "fill it in and set `status: active`")
        elif provider is not None and provider.models and provider.model(match.backend_model or name) is None:
            backend = match.backend_model or name
            key = "backend_model" if match.backend_model else "provider"
            offered = [model.name for model in provider.models]
            hint = did_you_mean(backend, offered, "set `backend_model` to one that it lists")
            yield draft.problem(MAPPINGS, (*path, key), f"`{name}`: `{match.provider}` does not list `{backend}`", hint)
        if match.fallback is not None:
            yield from _fallback(draft, routing, suggest, name, match.fallback)


def _fallback(draft: Draft, routing: Routing, suggest: _Suggester, name: str, wanted: str) -> Iterator[Problem]:
    path = ("exact_matches", name, "fallback")
    target = routing.targets.get(name)
    if wanted == name:
        yield draft.problem(MAPPINGS, path, f"`{name}` falls back to itself")
    elif wanted in draft.names:
        if target is not None and _unsuited(routing, target, wanted):
            yield draft.problem(MAPPINGS, path, *_unsuited_words(name, wanted))
    elif wanted in draft.all_providers:
        if target is not None and wanted in draft.providers and routing.stand_in(target, wanted) is None:
            message = f"`{name}`: the provider `{wanted}` serves no other model to fall back to"
            yield draft.problem(MAPPINGS, path, message, "name a served model, or `fallback: null`")
    else:
        hint = suggest(wanted, also=draft.all_providers)
        yield draft.problem(
            MAPPINGS, path, f"`{name}`: the fallback `{wanted}` is neither a served model nor a provider", hint
        )


def _chains(draft: Draft, routing: Routing) -> Iterator[Problem]:
    suggest = _Suggester(draft)
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
            elif name in routing.targets and name != DEFAULT and _unsuited(routing, routing.targets[name], wanted):
                yield draft.problem(MAPPINGS, at, *_unsuited_words(name, wanted))
            seen.add(wanted)


def _cycles(draft: Draft, routing: Routing) -> Iterator[Problem]:
    """No cycle among models that name each other; provider names and the default chain are resolved without one."""
    edges: dict[str, list[tuple[str, Path]]] = {}
    for name, match in draft.exact_matches.items():
        if match.fallback in draft.names and match.fallback != name:
            edges.setdefault(name, []).append((match.fallback, ("exact_matches", name, "fallback")))
    for name, chain in draft.fallback_chains.items():
        if name != DEFAULT:
            edges.setdefault(name, []).extend((to, ("fallback_chains", name)) for to in chain.chain if to != name)
    done: set[str] = set()
    for start in edges:
        yield from _walk(draft, edges, start, done)


def _walk(draft: Draft, edges: dict[str, list[tuple[str, Path]]], start: str, done: set[str]) -> Iterator[Problem]:
    """Depth first without recursion: chains of thousands of models are fine. Each cycle is reported where it closes."""
    if start in done:
        return
    trail, on_trail = [start], {start: 0}
    stack = [iter(edges.get(start, ()))]
    while stack:
        step = next(stack[-1], None)
        if step is None:
            stack.pop()
            done.add(trail[-1])
            del on_trail[trail.pop()]
            continue
        to, path = step
        if to in on_trail:
            cycle = " -> ".join([*trail[on_trail[to] :], to])
            yield draft.problem(MAPPINGS, path, f"fallbacks go in a circle: {cycle}", "let one of them end")
        elif to not in done:
            on_trail[to] = len(trail)
            trail.append(to)
            stack.append(iter(edges.get(to, ())))


def _unsuited(routing: Routing, target: Target, wanted: str) -> bool:
    other = routing.targets.get(wanted)
    return other is not None and other.name != target.name and not suits(target, other)


def _unsuited_words(name: str, wanted: str) -> tuple[str, str]:
    return (
        f"`{name}` cannot fall back to `{wanted}`: only one of them is an embedding model",
        "name one of the same `mode`",
    )


class _Suggester:
    """The nearest served name, for the first few problems only."""

    def __init__(self, draft: Draft) -> None:
        self.draft, self.left = draft, _SUGGESTIONS

    def __call__(self, name: str, also: set[str] = frozenset()) -> str:  # type: ignore[assignment]
        if name in self.draft.templates:
            return f"the provider `{self.draft.templates[name]}` that lists it is a template"
        if self.left == 0:
            return ""
        self.left -= 1
        return did_you_mean(name, self.draft.names | also)
