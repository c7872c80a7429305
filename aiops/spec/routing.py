"""Who serves which name, and where its requests go when it does not answer. Shared by the checks and the routes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiops.spec.model import Chain, ExactMatch, ModelSpec, Provider
from aiops.spec.provider_types import Mode

DEFAULT = "default"


@dataclass(frozen=True)
class Target:
    """One served name: the provider and the name that provider knows the model by."""

    name: str
    provider: Provider
    backend: str
    spec: ModelSpec | None
    match: ExactMatch | None = None

    @property
    def live(self) -> bool:
        """Whether its own provider is active."""
        return self.provider.status == "active"

    @property
    def mode(self) -> Mode:
        """What kind of requests it answers."""
        return self.spec.mode if self.spec else "chat"


@dataclass
class Routing:
    """The served names of a desired state. ``clashes``: names that several active providers offer."""

    targets: dict[str, Target] = field(default_factory=dict)
    clashes: dict[str, list[str]] = field(default_factory=dict)
    by_provider: dict[str, list[Target]] = field(default_factory=dict)  # in the order in which each lists its models
    chains: Mapping[str, Chain] = field(default_factory=dict)

    @classmethod
    def of(
        cls, providers: Mapping[str, Provider], matches: Mapping[str, ExactMatch], chains: Mapping[str, Chain]
    ) -> Routing:
        """Resolve every served name; templates are never served."""
        specs = {name: {model.name: model for model in provider.models} for name, provider in providers.items()}
        routing = cls(chains=chains)
        targets = routing.targets
        for name, match in matches.items():
            provider = providers.get(match.provider)
            if provider is not None and provider.status != "template":
                backend = match.backend_model or name
                targets[name] = Target(name, provider, backend, specs[provider.name].get(backend), match)
        for status in ("active", "disabled"):
            for provider in providers.values():
                if provider.status == status:
                    routing._offer(provider, matches)
        order = {name: {model: place for place, model in enumerate(models)} for name, models in specs.items()}
        for target in targets.values():
            routing.by_provider.setdefault(target.provider.name, []).append(target)
        for name, offered in routing.by_provider.items():
            offered.sort(key=lambda target: order[name].get(target.backend, len(order[name])))
        return routing

    def _offer(self, provider: Provider, matches: Mapping[str, ExactMatch]) -> None:
        for model in provider.models:
            held = self.targets.get(model.name)
            if held is None and model.name not in matches:
                self.targets[model.name] = Target(model.name, provider, model.name, model)
            elif held is not None and held.match is None and held.live and provider.status == "active":
                self.clashes.setdefault(model.name, [held.provider.name])
                if provider.name not in self.clashes[model.name]:
                    self.clashes[model.name].append(provider.name)

    def stand_in(self, target: Target, provider: str) -> str | None:
        """The name under which ``provider`` can answer for ``target``: the same backend model if it serves it, else
        its first model of the same kind. None when it serves nothing suitable under a name of its own."""
        first: str | None = None
        for other in self.by_provider.get(provider, ()):
            if suits(target, other):
                if other.backend == target.backend:
                    return other.name
                first = first or other.name
        return first

    def own_fallback(self, target: Target) -> str | None:
        """The served name that the exact match's ``fallback`` means: a model, or a provider's stand-in."""
        wanted = target.match.fallback if target.match else None
        if wanted is None or wanted in self.targets:
            return wanted
        return self.stand_in(target, wanted)

    def chain(self, target: Target) -> Chain | None:
        """The chain that applies: the model's own one, else the default one."""
        own = self.chains.get(target.name) if target.name != DEFAULT else None
        return own if own is not None else self.chains.get(DEFAULT)

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


def suits(target: Target, other: Target) -> bool:
    """Whether ``other`` can answer for ``target``: an embedding is no answer to a chat, nor the other way round."""
    return other.name != target.name and (target.mode == "embedding") == (other.mode == "embedding")
