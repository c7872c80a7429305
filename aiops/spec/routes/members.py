"""Which models of which providers a balanced name or a capability stands for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aiops.spec.choosing import sizes
from aiops.spec.routes.targets import Place, Target, kind_of
from aiops.spec.shapes.mappings import DEFAULT_ABOVE, Balanced, Capability
from aiops.spec.shapes.model import Provider
from aiops.spec.suggest import did_you_mean, unknown_provider_hint
from aiops.spec.yaml.yaml12 import Path


@dataclass(frozen=True)
class Fault:
    """What is wrong at ``path`` of the mappings. ``wanted``: a name to find the nearest served one to."""

    path: Path
    message: str
    hint: str = ""
    wanted: str | None = None


@dataclass
class Members:
    """Finds the members of groups. ``names``, ``broken``: every served name and provider that is written down and not
    well-formed, which is reported elsewhere."""

    providers: Mapping[str, Provider]
    plain: Mapping[str, Target]
    by_provider: Mapping[str, Sequence[Target]]
    names: Collection[str] = ()
    broken: Collection[str] = ()
    faults: list[Fault] = field(default_factory=list)
    groups: dict[str, tuple[Place, ...]] = field(default_factory=dict)  # the balanced names found so far

    def balanced(self, name: str, spec: Balanced) -> tuple[Place, ...]:
        """One member per provider, disabled ones included."""
        base = self.plain.get(name)
        total = sum(member.weight or 0 for member in spec.providers)
        places: list[Place] = []
        for index, member in enumerate(spec.providers):
            path: Path = ("load_balancing", name, "providers", index)
            provider = self._provider(name, (*path, "provider"), member.provider)
            backend = self._model(name, path, provider, member.preferred_model, base) if provider else None
            if provider is None or backend is None:
                continue
            if any((place.provider.name, place.backend) == (provider.name, backend) for place in places):
                self._fault(path, f"`{name}`: `{backend}` of `{provider.name}` is a member twice", "keep one")
                continue
            weight = member.weight / total if member.weight else 1.0
            named = self._named(provider, member.preferred_model or name)
            options = {**named, **member.options}
            places.append(Place(provider, backend, provider.model(backend), weight, member.condition, options=options))
        self.groups[name] = tuple(places)
        return tuple(places)

    def capability(self, name: str, spec: Capability, capabilities: Collection[str]) -> tuple[Place, ...]:
        """The preferred models in order, then the providers' ones; models of a level before the others."""
        path: Path = ("capabilities", name)
        found: list[Place] = []
        for index, wanted in enumerate(spec.preferred_models):
            found += self._wanted(name, (*path, "preferred_models", index), wanted, spec, capabilities)
        if spec.provider is not None:
            found += self._offered(name, (*path, "provider"), spec.provider, spec)
        for index, wanted in enumerate(spec.providers):
            found += self._offered(name, (*path, "providers", index), wanted, spec)
        levels = self._levels(name, spec, capabilities)
        if not (spec.preferred_models or spec.provider or spec.providers or levels):
            self._fault(path, f"`{name}` names no model", "give `preferred_models`, `provider` or `providers`")
        return tuple(_in_order(_unique([*found, *(place for place, _ in levels)]), levels))

    def _levels(self, name: str, spec: Capability, capabilities: Collection[str]) -> list[tuple[Place, int]]:
        levels: list[tuple[Place, int]] = []
        for key, thresholds in (
            ("complexity_thresholds", spec.complexity_thresholds),
            ("context_thresholds", spec.context_thresholds),
        ):
            for level, threshold in thresholds.levels().items() if thresholds else ():
                above = DEFAULT_ABOVE[level] if threshold.above is None else threshold.above
                at: Path = ("capabilities", name, key, level)
                for place in self._wanted(name, at, threshold.model, spec, capabilities):
                    levels.append((place, above))
        return levels

    def _wanted(
        self, name: str, path: Path, wanted: str, spec: Capability, capabilities: Collection[str]
    ) -> Iterator[Place]:
        """What a served name, or a provider, contributes."""
        if wanted in self.groups:
            places = list(self.groups[wanted])
        elif wanted in self.plain:
            target = self.plain[wanted]
            places = [Place(target.provider, target.backend, target.spec, options=target.options)]
        elif wanted in capabilities:
            self._fault(path, f"`{name}`: `{wanted}` is a capability itself", "name models or providers")
            return
        elif wanted in self.providers:
            yield from self._offered(name, path, wanted, spec)
            return
        else:
            if wanted not in self.names and wanted not in self.broken:
                message = f"`{name}` names `{wanted}`, which no provider has"
                self.faults.append(Fault(path, message, wanted=wanted))
            return
        for place in places:
            if self._is_enough(name, path, place, spec):
                yield place

    def _offered(self, name: str, path: Path, wanted: str, spec: Capability) -> Iterator[Place]:
        """The first chat model of a provider that is large enough."""
        provider = self._provider(name, path, wanted)
        if provider is None:
            return
        places = [place for place in self._places(provider) if place.mode == "chat"]
        if not places:
            self._fault(path, f"`{name}`: the provider `{wanted}` serves no chat model", "list one in its `models`")
        for place in places:
            if self._is_enough(name, path, place, spec):
                yield place
                return

    def _is_enough(self, name: str, path: Path, place: Place, spec: Capability) -> bool:
        if spec.min_model_size is not None:
            try:
                wanted = sizes.parse(spec.min_model_size)
            except ValueError:
                return True  # reported with the capability
            if place.size is None:
                self._fault(path, f"`{name}`: the size of {place.words} is not known", place.missing("size", "7B"))
            elif place.size < wanted:
                return False
        if spec.min_context is not None:
            if place.context is None:
                hint = place.missing("context_length", "8192")
                self._fault(path, f"`{name}`: the context of {place.words} is not known", hint)
            elif place.context < spec.min_context:
                return False
        return True

    def _provider(self, name: str, path: Path, wanted: str) -> Provider | None:
        provider = self.providers.get(wanted)
        if provider is None:
            if wanted not in self.broken:
                hint = unknown_provider_hint(wanted, self.providers, self.names)
                self._fault(path, f"`{name}`: unknown provider `{wanted}`", hint)
        elif provider.status == "template":
            self._fault(path, f"`{name}`: the provider `{wanted}` is a template", "fill it in and set `status: active`")
            return None
        return provider

    def _model(
        self, name: str, path: Path, provider: Provider, preferred: str | None, base: Target | None
    ) -> str | None:
        """What the provider calls the model: the preferred one, else its own of that name, else its stand-in."""
        if preferred is not None:
            alias = self.plain.get(preferred)
            if alias is not None and alias.provider is provider:
                return alias.backend
            if provider.model(preferred) is not None or not provider.models:
                return preferred
            offered = [model.name for model in provider.models]
            hint = did_you_mean(preferred, offered, f"it lists: {', '.join(offered[:5])}")
            at = (*path, "preferred_model")
            self._fault(at, f"`{name}`: `{provider.name}` does not list `{preferred}`", hint)
            return None
        if base is not None and base.provider is provider:
            return base.backend
        for own in (name, base.backend if base else name):
            if provider.model(own) is not None:
                return own
        wanted = base.mode if base else "chat"
        suited = [place for place in self._places(provider) if kind_of(place.mode) == kind_of(wanted)]
        if not suited:
            self._fault(path, f"`{name}`: `{provider.name}` lists no model that could answer", "add `preferred_model`")
            return None
        return next((place for place in suited if place.mode == wanted), suited[0]).backend

    def _named(self, provider: Provider, name: str) -> Mapping[str, Any]:
        """The options of a served name that a member goes by."""
        alias = self.plain.get(name)
        return alias.options if alias is not None and alias.provider is provider else {}

    def _places(self, provider: Provider) -> list[Place]:
        """What a provider has, in the order of its list; what exact matches send it when it lists nothing."""
        if provider.models:
            return [Place(provider, model.name, model) for model in provider.models]
        return [Place(provider, target.backend, target.spec) for target in self.by_provider.get(provider.name, ())]

    def _fault(self, path: Path, message: str, hint: str = "") -> None:
        self.faults.append(Fault(path, message, hint))


def _unique(places: Sequence[Place]) -> list[Place]:
    first: dict[tuple[str, str], Place] = {}
    for place in places:
        first.setdefault((place.provider.name, place.backend), place)
    return list(first.values())


def _in_order(places: list[Place], levels: list[tuple[Place, int]]) -> list[Place]:
    """Members with a level first, each with the tokens above which it is meant; the lowest takes the rest."""
    above: dict[tuple[str, str], int] = {}
    for place, tokens in levels:
        key = (place.provider.name, place.backend)
        above[key] = min(tokens, above.get(key, tokens))
    lowest = min(above.values(), default=0)
    ranked = []
    for place in places:
        level = above.get((place.provider.name, place.backend))
        ranked.append((level is None, place if not level or level == lowest else replace(place, above=level)))
    return [place for _, place in sorted(ranked, key=lambda item: item[0])]
