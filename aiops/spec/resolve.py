"""Desired state -> the routes that are served, as data that can be stored and compared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from aiops.spec.model import Chain, DesiredState
from aiops.spec.options import Params
from aiops.spec.provider_types import Mode
from aiops.spec.routing import Routing, Target

Info = Mapping[str, str | int | list[str]]


@dataclass(frozen=True)
class Route:
    """One served model. ``substitute_for``: the disabled provider whose model another one answers meanwhile.

    ``params``: the options of the provider and the model, under LiteLLM's names. ``cost``: US dollars per 1,000 tokens,
    where it is written.
    """

    model: str
    provider: str
    backend_model: str
    fallbacks: tuple[str, ...] = ()
    substitute_for: str | None = None
    mode: Mode = "chat"
    billable: bool = False
    params: Params = field(default_factory=dict, hash=False)
    cost: float | None = None
    info: Info = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Unrouted:
    """A model that nobody serves while its provider is disabled."""

    model: str
    provider: str
    reason: str


@dataclass(frozen=True)
class RouteTable:
    """Everything that is served, sorted by model name."""

    routes: tuple[Route, ...] = ()
    unrouted: tuple[Unrouted, ...] = ()

    @property
    def models(self) -> tuple[str, ...]:
        """The names that are served."""
        return tuple(route.model for route in self.routes)

    def route(self, model: str) -> Route | None:
        """The route of that model, or None."""
        return next((route for route in self.routes if route.model == model), None)

    def to_data(self) -> dict[str, Any]:
        """Plain data, equal for equal tables."""
        return {
            "routes": [asdict(route) for route in self.routes],
            "unrouted": [asdict(item) for item in self.unrouted],
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> RouteTable:
        """The inverse of ``to_data``."""
        return cls(
            tuple(Route(**{**item, "fallbacks": tuple(item["fallbacks"])}) for item in data["routes"]),
            tuple(Unrouted(**item) for item in data["unrouted"]),
        )

    def to_json(self) -> str:
        """Deterministic JSON."""
        return json.dumps(self.to_data(), ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> RouteTable:
        """The inverse of ``to_json``."""
        return cls.from_data(cast("dict[str, Any]", json.loads(text)))


def resolve(state: DesiredState) -> RouteTable:
    """Every served model with its provider and effective fallbacks.

    A model of a disabled provider is answered by its first live fallback; without one it is ``unrouted``.
    Disabled models are dropped from the fallbacks of others.
    """
    routing = Routing.of(state.providers, state.exact_matches, state.fallback_chains)
    routes: list[Route] = []
    unrouted: list[Unrouted] = []
    for name in sorted(routing.targets):
        target = routing.targets[name]
        live = [other for other in routing.fallbacks(target) if routing.targets[other].live]
        if target.live:
            routes.append(_route(target, target, live, routing.chain(target)))
        elif live:
            routes.append(_route(target, routing.targets[live[0]], live[1:], routing.chain(target)))
        else:
            reason = f"`{target.provider.name}` is disabled and no fallback is live"
            unrouted.append(Unrouted(name, target.provider.name, reason))
    return RouteTable(tuple(routes), tuple(unrouted))


def _route(target: Target, served_by: Target, fallbacks: list[str], chain: Chain | None) -> Route:
    return Route(
        model=target.name,
        provider=served_by.provider.name,
        backend_model=served_by.backend,
        fallbacks=tuple(fallbacks),
        substitute_for=None if served_by is target else target.provider.name,
        mode=served_by.mode,
        billable=served_by.provider.bills(served_by.backend),
        params=served_by.provider.params(served_by.spec),
        cost=served_by.provider.written_price(served_by.backend, served_by.spec),
        info=_documentation(served_by, target, chain),
    )


def _documentation(served_by: Target, target: Target, chain: Chain | None) -> Info:
    """What the operator wrote about the model, the served name's own words first."""
    info: dict[str, str | int | list[str]] = {}
    spec, match, provider = served_by.spec, target.match, served_by.provider
    if spec is not None:
        for key in ("size", "quantization", "specialty", "description", "context_length", "notes", "pulled_at"):
            value = getattr(spec, key)
            if value is not None:
                info[key] = value
    if match is not None:
        for key in ("description", "notes", "priority"):
            value = getattr(match, key)
            if value is not None:
                info[key] = value
    tags = [*(spec.tags if spec else ()), *(match.tags if match else ())]
    if tags:
        info["tags"] = list(dict.fromkeys(tags))
    for key in ("description", "docs", "notes", "location"):
        value = getattr(provider, key)
        if value is not None:
            info[f"provider_{key}"] = value
    for key in ("features", "tags"):
        if getattr(provider, key):
            info[f"provider_{key}"] = list(getattr(provider, key))
    for key in ("description", "tier", "notes"):
        value = getattr(chain, key, None)
        if value is not None:
            info[f"fallback_{key}"] = value
    return dict(sorted(info.items()))
