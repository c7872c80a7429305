"""Who serves which name, and where its requests go when it does not answer. Shared by the checks and the routes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from aiops.spec.routes.members import Fault, Members
from aiops.spec.routes.targets import Place, Target, kind_of, suits
from aiops.spec.shapes.mappings import Balanced, Capability, Chain, ExactMatch, Mappings
from aiops.spec.shapes.model import Provider

DEFAULT = "default"


@dataclass
class Routing:
    """The served names of a desired state. ``clashes``: names that several active providers offer.

    ``faults``: what is wrong with the members of groups.
    """

    targets: dict[str, Target] = field(default_factory=dict)
    clashes: dict[str, list[str]] = field(default_factory=dict)
    by_provider: dict[str, list[Target]] = field(default_factory=dict)  # in the order in which each lists its models
    chains: Mapping[str, Chain] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    # The first two names (one may be who asks) by provider, kind and backend; None is any backend.
    _offered: dict[tuple[str, str, str | None], tuple[str, ...]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        providers: Mapping[str, Provider],
        matches: Mapping[str, ExactMatch],
        chains: Mapping[str, Chain],
        mappings: Mappings | None = None,
        names: Collection[str] = (),
        broken: Collection[str] = (),
    ) -> Routing:
        """Resolve every served name; templates are never served. ``names``, ``broken``: as of ``Members``."""
        specs = {name: {model.name: model for model in provider.models} for name, provider in providers.items()}
        routing = cls(chains=chains)
        targets = routing.targets
        for name, match in matches.items():
            provider = providers.get(match.provider)
            if provider is not None and provider.status != "template":
                backend = match.backend_model or name
                targets[name] = Target(name, provider, backend, specs[provider.name].get(backend), match)
        balanced: Collection[str] = mappings.load_balancing if mappings else ()
        for status in ("active", "disabled"):
            for provider in providers.values():
                if provider.status == status:
                    routing._offer(provider, matches, balanced)
        order = {name: {model: place for place, model in enumerate(models)} for name, models in specs.items()}
        for target in targets.values():
            routing.by_provider.setdefault(target.provider.name, []).append(target)
        for name, offered in routing.by_provider.items():
            offered.sort(key=lambda target: order[name].get(target.backend, len(order[name])))
            for target in offered:
                routing._remember(target, target.backend)
                routing._remember(target, None)
        if mappings is not None:
            members = Members(providers, dict(targets), routing.by_provider, names, broken, routing.faults)
            routing._add_groups(mappings, members)
        return routing

    def _remember(self, target: Target, backend: str | None) -> None:
        key = (target.provider.name, kind_of(target.mode), backend)
        self._offered[key] = (*self._offered.get(key, ()), target.name)[:2]

    def _add_groups(self, mappings: Mappings, members: Members) -> None:
        for name, balanced in mappings.load_balancing.items():
            self._group(name, balanced, members.balanced(name, balanced))
        for name, capability in mappings.capabilities.items():
            if name not in self.targets:
                self._group(name, capability, members.capability(name, capability, mappings.capabilities))

    def _group(self, name: str, rule: Balanced | Capability, places: tuple[Place, ...]) -> None:
        first = next((place for place in places if place.live), next(iter(places), None))
        if first is not None:
            base = self.targets.get(name)
            match = base.match if base else None
            self.targets[name] = Target(name, first.provider, first.backend, first.spec, match, rule, places)

    def _offer(self, provider: Provider, matches: Collection[str], balanced: Collection[str]) -> None:
        for model in provider.models:
            if not model.public:
                continue
            held = self.targets.get(model.name)
            if held is None and model.name not in matches:
                self.targets[model.name] = Target(model.name, provider, model.name, model)
            elif held is None or held.match is not None or model.name in balanced:
                continue  # decided
            elif held.live and provider.status == "active":
                self.clashes.setdefault(model.name, [held.provider.name])
                if provider.name not in self.clashes[model.name]:
                    self.clashes[model.name].append(provider.name)

    def stand_in(self, target: Target, provider: str) -> str | None:
        """The name under which ``provider`` can answer for ``target``: the same backend model if it serves it, else
        its first model of the same kind. None when it serves nothing suitable under a name of its own."""
        kind = kind_of(target.mode)
        same = self._offered.get((provider, kind, target.backend), ())
        others = (*same, *self._offered.get((provider, kind, None), ()))
        return next((name for name in others if name != target.name), None)

    def own_fallback(self, target: Target) -> str | None:
        """The served name that its ``fallback`` means: a model, or a provider's stand-in."""
        wanted = target.wanted_fallback
        if wanted is None or wanted in self.targets:
            return wanted
        return self.stand_in(target, wanted)

    def rule_fallback(self, wanted: str | None) -> str | None:
        """The served name that the ``fallback`` of a rule means: a model, or the first chat model of a provider."""
        if wanted is None or wanted in self.targets:
            return wanted
        offered = self.by_provider.get(wanted, ())
        return next((target.name for target in offered if target.mode == "chat"), None)

    def chain(self, target: Target) -> Chain | None:
        """The chain that applies: the model's own one, else the default one."""
        own = self.chains.get(target.name) if target.name != DEFAULT else None
        return own if own is not None else self.chains.get(DEFAULT)

    def ways(self) -> dict[str, tuple[str, ...]]:
        """Name -> what it was given as fallbacks: its own one, its own chain; the default chain where it has none and
        is no member of it. Circles are looked for in these: that the default chain is for its members, too, is none."""
        default = self.chains.get(DEFAULT)
        last = default.chain if default is not None else ()
        found: dict[str, tuple[str, ...]] = {}
        for name, target in self.targets.items():
            own = self.chains.get(name) if name != DEFAULT else None
            names = own.chain if own is not None else last if name not in last else ()
            first = self.own_fallback(target)
            given = dict.fromkeys([first, *names] if first else names)
            found[name] = tuple(each for each in given if each != name and each in self.targets)
        return found

    def fallbacks(self, target: Target) -> list[str]:
        """Effective fallbacks in order, disabled ones included: the own one, then the own chain or the default one."""
        own = self.own_fallback(target)
        names = [own] if own else []
        chain = self.chain(target)
        if chain is not None and chain is self.chains.get(DEFAULT):
            names += [name for name in chain.chain if name in self.targets and suits(target, self.targets[name])]
        elif chain is not None:
            names += chain.chain
        return [name for name in dict.fromkeys(names) if name != target.name and name in self.targets]
