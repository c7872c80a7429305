"""Desired state -> the routes that are served and the rules that lead to them."""

from __future__ import annotations

from aiops.spec.choosing.rules import BY_PROFILE, Strategy, strategy
from aiops.spec.routes.build_rules import build_rules
from aiops.spec.routes.deployments import identity
from aiops.spec.routes.documentation import about_model, about_name, together
from aiops.spec.routes.routes import Endpoint, Route, RouteTable, Unrouted
from aiops.spec.routes.routing import Routing
from aiops.spec.routes.targets import Place, Target, suits
from aiops.spec.shapes.mappings import Balanced, Capability
from aiops.spec.shapes.model import DesiredState

__all__ = ["RouteTable", "resolve"]


def resolve(state: DesiredState) -> RouteTable:
    """Every served name with its providers and effective fallbacks.

    A model of a disabled provider is answered by its first live fallback; without one it is ``unrouted``.
    Disabled models are dropped from the fallbacks of others, and disabled providers from groups.
    """
    routing = Routing.of(state.providers, state.exact_matches, state.fallback_chains, state.mappings)
    default = strategy(state.mappings.rules.default_strategy or BY_PROFILE[state.profile])
    routes: list[Route] = []
    unrouted: list[Unrouted] = []
    for name in sorted(routing.targets):
        target = routing.targets[name]
        live = [other for other in routing.fallbacks(target) if routing.targets[other].live]
        if target.live:
            routes.append(_route(routing, target, target, live, default))
        elif live:
            routes.append(_route(routing, target, routing.targets[live[0]], live[1:], default))
        else:
            reason = f"`{target.provider.name}` is disabled and no fallback is live"
            unrouted.append(Unrouted(name, target.provider.name, reason))
    rules, without = build_rules(state, routing, routes)
    return RouteTable(tuple(routes), (*unrouted, *without), rules)


def _route(routing: Routing, target: Target, served_by: Target, fallbacks: list[str], default: Strategy) -> Route:
    chain, ways = routing.chain(target), _ways(routing, target)
    limit = target.match.rate_limit if target.match else None
    places = [place for place in served_by.places if place.live]
    about = about_name(target, chain)
    return Route(
        model=target.name,
        provider=served_by.provider.name,
        backend_model=served_by.backend,
        fallbacks=tuple(fallbacks),
        substitute_for=None if served_by is target else target.provider.name,
        mode=served_by.mode,
        billable=any(place.bills for place in places) if places else served_by.provider.bills(served_by.backend),
        info=about if places else together(about_model(served_by.spec, served_by.provider), about),
        strategy=_strategy(served_by, default).value if places else None,
        is_capability=isinstance(target.rule, Capability),
        endpoints=tuple(_endpoint(target.name, place) for place in places),
        rpm=limit.rpm if limit else None,
        tpm=limit.tpm if limit else None,
        params={} if places else served_by.provider.params(served_by.spec, served_by.options),
        cost=None if places else served_by.provider.written_price(served_by.backend, served_by.spec),
        facts={} if places else served_by.provider.facts(served_by.backend, served_by.spec),
        context_window=ways.get("context_window", ()),
        content_policy=ways.get("content_policy", ()),
    )


def _ways(routing: Routing, target: Target) -> dict[str, tuple[str, ...]]:
    """The live fallbacks for a prompt that is too long, and for content that is refused."""
    chain = routing.chain(target)
    wanted = {} if chain is None else {"context_window": chain.context_window, "content_policy": chain.content_policy}
    return {
        key: tuple(name for name in names if routing.targets[name].live and suits(target, routing.targets[name]))
        for key, names in wanted.items()
    }


def _endpoint(name: str, place: Place) -> Endpoint:
    provider = place.provider
    return Endpoint(
        place.as_member(identity(name, provider.name, place.backend)),
        place.mode,
        place.bills,
        about_model(place.spec, provider),
        provider.params(place.spec, place.options),
        provider.written_price(place.backend, place.spec),
        provider.facts(place.backend, place.spec),
    )


def _strategy(target: Target, default: Strategy) -> Strategy:
    """The group's own; a capability without one goes through its models in order."""
    if isinstance(target.rule, Capability):
        return strategy(target.rule.routing_strategy or Strategy.DIRECT)
    if isinstance(target.rule, Balanced) and target.rule.strategy is not None:
        return strategy(target.rule.strategy)
    return default
