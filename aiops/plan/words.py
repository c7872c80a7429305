"""A route, and what became different about it, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aiops.spec.choosing.rules import Member
from aiops.spec.routes.routes import Endpoint, Route


def path(route: Route) -> str:
    """Who answers, and who after them."""
    substitute = f" in place of {route.substitute_for}" if route.substitute_for else ""
    fallbacks = f", then {', '.join(route.fallbacks)}" if route.fallbacks else ""
    if route.endpoints:
        kind = "capability" if route.is_capability else "balanced"
        answered = f"{kind} ({route.strategy}) over {', '.join(_member(route, member) for member in route.members)}"
    else:
        answered = f"{route.provider}{_as(route.backend_model, route.model)}"
    return f"{answered}{substitute}{_limits(route)}{fallbacks}"


def what(was: Route, now: Route) -> Iterator[str]:
    """Each thing that is different."""
    substitute = f" in place of {now.substitute_for}" if now.substitute_for else ""
    if was.endpoints or now.endpoints:
        yield from _members(was, now)
        if was.substitute_for != now.substitute_for:
            yield f"answered{substitute or ' by itself again'}"
    else:
        if was.provider != now.provider or was.substitute_for != now.substitute_for:
            yield f"provider {was.provider} -> {now.provider}{substitute}"
        if was.backend_model != now.backend_model:
            yield f"backend {was.backend_model} -> {now.backend_model}"
    if was.fallbacks != now.fallbacks:
        yield f"fallbacks {_names(was.fallbacks)} -> {_names(now.fallbacks)}"
    for key, when in (("context_window", "when a prompt is too long"), ("content_policy", "when content is refused")):
        before, after = getattr(was, key), getattr(now, key)
        if before != after:
            yield f"fallbacks {when} {_names(before)} -> {_names(after)}"
    for key in ("rpm", "tpm"):
        before, after = getattr(was, key), getattr(now, key)
        if before != after:
            yield f"{key} {before or 'unlimited'} -> {after or 'unlimited'}"
    yield from _told(was, now)


def _different(was: Mapping[str, object], now: Mapping[str, object]) -> str:
    return ", ".join(sorted(key for key in {*was, *now} if was.get(key) != now.get(key)))


def _cost(cost: float | None) -> str:
    return "unknown" if cost is None else f"{cost:g}"


def _members(was: Route, now: Route) -> Iterator[str]:
    if was.is_capability != now.is_capability:
        yield "a capability now" if now.is_capability else "no longer a capability"
    if was.strategy != now.strategy:
        yield f"strategy {was.strategy or 'none'} -> {now.strategy or 'none'}"
    before, after = _by_place(was), _by_place(now)
    yield from (f"without {_member(was, member)}" for place, member in before.items() if place not in after)
    yield from (f"with {_member(now, member)}" for place, member in after.items() if place not in before)
    for place, member in after.items():
        if place in before and _facts(before[place]) != _facts(member):
            yield f"{_member(was, before[place])} -> {_member(now, member)}"
    endpoints = {(one.member.provider, one.member.model): one for one in was.endpoints}
    for one in now.endpoints:
        old = endpoints.get((one.member.provider, one.member.model))
        if old is not None:
            yield from _told(old, one, one.member.provider)
    kept = [place for place in before if place in after]
    if kept != [place for place in after if place in before]:
        yield f"in the order {', '.join(member.provider for member in now.members)}"


def _told(was: Route | Endpoint, now: Route | Endpoint, whose: str = "") -> Iterator[str]:
    """What a route says of its one model, and of each of several that stays: the model of ``whose``."""
    of = f" of {whose}" if whose else ""
    if was.mode != now.mode:
        yield f"mode{of} {was.mode} -> {now.mode}"
    if was.billable != now.billable:
        yield f"{whose} {'billable now' if now.billable else 'no longer billable'}".lstrip()
    if was.params != now.params:
        yield f"options{of} ({_different(was.params, now.params)})"
    if was.cost != now.cost:
        yield f"cost{of} {_cost(was.cost)} -> {_cost(now.cost)}"
    elif was.facts != now.facts:
        yield f"facts{of} ({_different(was.facts, now.facts)})"
    if was.info != now.info:
        yield f"documentation{of} ({_different(was.info, now.info)})"


def _by_place(route: Route) -> dict[tuple[str, str | None], Member]:
    members = route.members or (Member("", route.provider, route.backend_model),)
    return {(member.provider, member.model): member for member in members}


def _facts(member: Member) -> tuple[object, ...]:
    return (member.weight, member.condition, member.above)


def _member(route: Route, member: Member) -> str:
    said = [f"{member.weight * 100:.3g} %"] if len({one.weight for one in route.members}) > 1 else []
    said += [f"when {member.condition}"] if member.condition else []
    said += [f"above {member.above} tokens"] if member.above else []
    return f"{member.provider}{_as(member.model, route.model)}" + (f" ({', '.join(said)})" if said else "")


def _as(model: str | None, name: str) -> str:
    return f" as {model}" if model is not None and model != name else ""


def _limits(route: Route) -> str:
    said = [f"{limit} {key}" for key, limit in (("rpm", route.rpm), ("tpm", route.tpm)) if limit]
    return f" (at most {', '.join(said)})" if said else ""


def _names(names: tuple[str, ...]) -> str:
    return f"[{', '.join(names)}]"
