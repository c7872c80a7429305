"""Desired state and its routes -> the routing table: who answers for which name, and by which rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from aiops.spec.choosing.rules import (
    BY_OWN_WORD,
    Figures,
    Group,
    Imbalance,
    Member,
    MetadataRule,
    PatternRule,
    ProviderFacts,
    QueueFacts,
    RoutingTable,
    RuleKind,
    SizeRule,
    Special,
    Strategy,
)
from aiops.spec.choosing.said import KINDS
from aiops.spec.choosing.size_ranges import parse_range
from aiops.spec.routes.circles import around
from aiops.spec.routes.deployments import hidden, identity
from aiops.spec.routes.routes import Route, Unrouted, is_alone
from aiops.spec.routes.routing import DEFAULT, Routing
from aiops.spec.routes.targets import Place, kind_of
from aiops.spec.shapes.mappings import Balanced, Capability, Parameters, SpecialCases
from aiops.spec.shapes.model import DesiredState, Provider
from aiops.spec.shapes.provider_types import same_model
from aiops.spec.shapes.secrets import key_variable
from aiops.spec.shapes.urls import is_local
from aiops.spec.sources import MAPPINGS
from aiops.spec.yaml.yaml12 import Path

_ONE_MODEL = ("vllm", "llama_cpp")
"""Types that serve one model: whatever is asked for, they can only answer with it."""


def build_rules(
    state: DesiredState, routing: Routing, routes: Sequence[Route]
) -> tuple[RoutingTable, tuple[Unrouted, ...]]:
    """The table, and the rules that nobody can answer for while providers are disabled."""
    return _Builder(state, routing, routes).build()


class _Builder:
    def __init__(self, state: DesiredState, routing: Routing, routes: Sequence[Route]) -> None:
        self.state, self.routing = state, routing
        self.routes = {route.model: route for route in routes}
        self.special = _special(state.mappings.special)
        self.without: list[Unrouted] = []

    def build(self) -> tuple[RoutingTable, tuple[Unrouted, ...]]:
        names = {name: self._named(route) for name, route in self.routes.items() if self._is_group(route)}
        self._add_metadata(names)
        circling = around(self.routing.ways(), {route.model: route.fallbacks for route in self.routes.values()})
        for name, route in self.routes.items():
            group = names.get(name) or self._plain_group(route)
            if name in circling:
                # LiteLLM would go round and round; what the gateway puts in order is tried once.
                group = replace(group, fallbacks=circling[name])
            group = self._with_fallbacks(group)
            if len(group.members) > 1 or name in circling:
                names[name] = group
        table = RoutingTable(
            plain=tuple(sorted(self.routes.keys() - names.keys())),
            names=dict(sorted(names.items())),
            patterns=tuple(self._patterns()),
            sizes=tuple(self._sizes()),
            default=self._default(),
            metadata=tuple(self._metadata()),
            special=self.special,
            same=dict(sorted(self._same())),
        )
        table = replace(table, once_more=tuple(sorted(self._once_more(table))))
        return replace(table, providers=self._providers(table)), tuple(self.without)

    def _same(self) -> Iterator[tuple[str, str]]:
        """What callers of Ollama may write as well, where no other model has that name."""
        for name, route in self.routes.items():
            other = same_model(name)
            if other is None or other in self.routes:
                continue
            answering = [(member.provider, member.model) for member in route.members]
            answering = answering or [(route.provider, route.backend_model)]
            if all(
                self.state.providers[provider].type == "ollama" and backend in (name, other)
                for provider, backend in answering
            ):
                yield other, name

    def _once_more(self, table: RoutingTable) -> Iterator[str]:
        """Deployments that nobody can stand in for, unless the operator has said how often they are asked."""
        if self.state.gateway.retries is not None:
            return
        for name in table.plain:
            if is_alone(self.routes[name]):
                yield identity(name, self.routes[name].provider, self.routes[name].backend_model)
        yield from (group.members[0].deployment for group in table.groups() if group.is_alone)

    def _is_group(self, route: Route) -> bool:
        return route.is_capability or len(route.endpoints) > 1

    def _named(self, route: Route) -> Group:
        """A balanced name or a capability; a capability that a plain model stands in for has that one member."""
        target = self.routing.targets[route.model]
        rule = target.rule
        section = "load_balancing" if isinstance(rule, Balanced) else "capabilities"
        written = rule.parameters if isinstance(rule, Balanced) else Parameters()
        strategy = Strategy(route.strategy or Strategy.DIRECT)
        return Group(
            name=route.model,
            kind="capability" if isinstance(rule, Capability) else "exact",
            strategy=strategy,
            members=route.members or (self._own(route),),
            fallbacks=route.fallbacks,
            source=self._source((section, route.model)),
            description=(rule.description if rule else None) or "",
            imbalance=_imbalance(written) if strategy is Strategy.CACHE_AWARE else None,
            **({} if written.saturation_threshold is None else {"saturation_threshold": written.saturation_threshold}),
        )

    def _own(self, route: Route) -> Member:
        """The deployment of a plain route."""
        provider = self.state.providers[route.provider]
        place = Place(provider, route.backend_model, provider.model(route.backend_model))
        return place.as_member(identity(route.model, route.provider, route.backend_model))

    def _plain_group(self, route: Route) -> Group:
        source = self._source(("exact_matches", route.model))
        return Group(route.model, "exact", Strategy.DIRECT, (self._own(route),), route.fallbacks, source)

    def _add_metadata(self, names: dict[str, Group]) -> None:
        """Names that the provider of a metadata rule lists too get it as a last member, for the rule to move up."""
        rules = self.state.mappings.rules.request_metadata_routing
        for wanted in dict.fromkeys(rule.provider for rule in rules.values()):
            provider = self.state.providers[wanted]
            for name, route in self.routes.items() if provider.status == "active" else ():
                if name in names and any(member.provider == wanted for member in names[name].members):
                    continue
                backend = next((own for own in (name, route.backend_model) if provider.model(own)), None)
                if (
                    route.provider == wanted
                    or backend is None
                    or route.mode != Place(provider, backend, provider.model(backend)).mode
                ):
                    continue
                group = names.get(name) or self._plain_group(route)
                names[name] = replace(group, members=(*group.members, _hidden(provider, backend)))

    def _with_fallbacks(self, group: Group) -> Group:
        """A group of one has a choice, too, where providers can be avoided: its fallbacks become members, which are
        tried in order."""
        if self.special == Special() or len(group.members) > 1 or not group.fallbacks:
            return group
        members = {member.deployment: member for member in group.members}
        for name in group.fallbacks:
            for member in self.routes[name].members or (self._own(self.routes[name]),):
                members.setdefault(member.deployment, member)
        return replace(group, strategy=Strategy.DIRECT, members=tuple(members.values()), fallbacks=())

    def _patterns(self) -> Iterator[PatternRule]:
        for index, rule in enumerate(self.state.mappings.patterns):
            group = self._rule(
                *(rule.pattern, "pattern", ("patterns", index), rule.provider, rule.fallback, rule.backend_model),
                passes_on=rule.rename is not None,
            )
            if group is not None:
                yield PatternRule(rule.pattern, replace(group, description=rule.description or ""), rule.rename)

    def _sizes(self) -> Iterator[SizeRule]:
        for index, rule in enumerate(self.state.mappings.rules.model_size_routing):
            path: Path = ("routing_rules", "model_size_routing", index)
            group = self._rule(rule.size, "default", path, rule.provider, rule.fallback)
            if group is not None:
                size = parse_range(rule.size)
                yield SizeRule(
                    replace(group, description=rule.reason or ""),
                    size.over,
                    size.up_to,
                    size.includes_over,
                    size.includes_up_to,
                )

    def _default(self) -> Group | None:
        rules = self.state.mappings.rules
        if rules.default_provider is None:
            return None
        path: Path = ("routing_rules", "default_provider")
        return self._rule("default_provider", "default", path, rules.default_provider, rules.default_fallback)

    def _rule(
        self,
        name: str,
        kind: RuleKind,
        path: Path,
        wanted: str,
        fallback: str | None,
        backend: str | None = None,
        *,
        passes_on: bool = False,
    ) -> Group | None:
        """The group of a rule; None, and a word about it, when nobody can answer for it."""
        provider = self.state.providers[wanted]
        fallbacks = self._fallbacks(fallback)
        source = self._source(path)
        if provider.status == "active":
            own = backend or (None if passes_on else self._only_model(provider))
            group = Group(name, kind, Strategy.DIRECT, (_hidden(provider, own),), fallbacks, source)
            return self._with_fallbacks(group)
        if fallbacks:
            first = self.routes[fallbacks[0]]
            members = first.members or (self._own(first),)
            strategy = Strategy(first.strategy or Strategy.DIRECT)
            return Group(name, kind, strategy, members, fallbacks[1:], source)
        what = f"{path[0]} `{name}`" if kind == "pattern" else str(path[1])
        self.without.append(Unrouted(what, wanted, f"`{wanted}` is disabled and no fallback is live"))
        return None

    def _fallbacks(self, wanted: str | None) -> tuple[str, ...]:
        """Served names: the rule's own, a provider standing for its first chat model, then the default chain."""
        own = self.routing.rule_fallback(wanted)
        names = [own] if own else []
        chain = self.routing.chains.get(DEFAULT)
        names += chain.chain if chain else ()
        served = [name for name in dict.fromkeys(names) if name in self.routes]
        return tuple(name for name in served if kind_of(self.routes[name].mode) == "text")

    def _only_model(self, provider: Provider) -> str | None:
        """The model of a provider that serves one; None when the name is passed on."""
        if provider.type not in _ONE_MODEL:
            return None
        offered = self.routing.by_provider.get(provider.name, ())
        listed = (model.name for model in provider.models if model.mode == "chat")
        return next(listed, None) or next((target.backend for target in offered if target.mode == "chat"), None)

    def _metadata(self) -> Iterator[MetadataRule]:
        for name, rule in self.state.mappings.rules.request_metadata_routing.items():
            if self.state.providers[rule.provider].status == "active":
                source = self._source(("routing_rules", "request_metadata_routing", name))
                yield MetadataRule(name, rule.provider, rule.condition, source, rule.description or "")

    def _providers(self, table: RoutingTable) -> Mapping[str, ProviderFacts]:
        used = {member.provider for group in table.groups() for member in group.members}
        used |= {name for name, each in self.state.providers.items() if each.queue and each.status == "active"}
        heard = {
            member.provider
            for group in table.groups()
            if group.strategy in BY_OWN_WORD and len(group.members) > 1
            for member in group.members
        }
        return {name: _facts(self.state.providers[name], asked=name in heard) for name in sorted(used)}

    def _source(self, path: Path) -> str:
        doc = self.state.documents.get(MAPPINGS)
        return f"{MAPPINGS}:{doc.line(path)}" if doc is not None and doc.node(path) is not None else ""


def _hidden(provider: Provider, backend: str | None) -> Member:
    """A deployment that only rules lead to; ``backend`` None passes on the name that was asked for."""
    deployment = hidden(provider.name, backend)
    if backend is None:
        return Member(deployment, provider.name, None)
    return Place(provider, backend, provider.model(backend)).as_member(deployment)


def _facts(provider: Provider, *, asked: bool) -> ProviderFacts:
    """``asked``: whether anybody goes by what it says of its load."""
    local = provider.root is not None and is_local(provider.root)
    queue = QueueFacts(provider.queue.most, provider.queue.seconds) if provider.queue is not None else None
    return ProviderFacts(provider.parallel, local, provider.health_url, queue, _figures(provider) if asked else None)


def _figures(provider: Provider) -> Figures | None:
    kind = next((kind for kind in KINDS if kind == provider.type), None)
    return None if kind is None or provider.root is None else Figures(kind, provider.root, key_variable(provider))


def _imbalance(written: Parameters) -> Imbalance | None:
    factor, requests, usual = written.imbalance_factor, written.imbalance_requests, Imbalance()
    if factor is None and requests is None:
        return None
    return Imbalance(usual.factor if factor is None else factor, usual.requests if requests is None else requests)


def _special(cases: SpecialCases) -> Special:
    first, limited, errors = cases.first_request_routing, cases.rate_limited_fallback, cases.error_based_routing
    special = Special()
    if first is not None:
        special = replace(special, warm_check=first.warm_check_timeout_ms / 1000)
    if limited is not None and limited.enabled:
        special = replace(special, rate_limited=limited.fallback_duration_seconds)
    if errors is not None and errors.enabled:
        special = replace(special, error_threshold=errors.error_threshold, cooldown=errors.cooldown_seconds)
    return special
