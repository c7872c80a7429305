"""What a change means: models, providers and settings that appear, go, or become different."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

from aiops.plan.words import path, what
from aiops.spec.routes.kept import Kept
from aiops.spec.routes.routes import Route, RouteTable
from aiops.spec.routes.summary import Summary
from aiops.spec.shapes.options import Params

Sign = Literal["+", "-", "~"]
Kind = Literal["model", "provider", "setting", "rule", "budget", "team", "user", "key"]
Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Change:
    """One fact: what (``kind`` and ``name``) appears, goes or changes, and how in plain words."""

    sign: Sign
    kind: Kind
    name: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.sign} {self.kind} {self.name}" + (f": {self.detail}" if self.detail else "")


@dataclass(frozen=True)
class Diff:
    """The changes from one generation to the next.

    ``changed_models``: served names that have to be proved. ``new_fallbacks``: those that got a way out they did not
    have; losing one proves nothing new.
    """

    changes: tuple[Change, ...] = ()
    changed_models: tuple[str, ...] = ()
    new_fallbacks: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """One fact per line, providers first, then models, then rules, then settings."""
        return [str(change) for change in self.changes]

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {"changes": [asdict(change) for change in self.changes], "changed_models": list(self.changed_models)}


def diff(old: RouteTable | None, new: RouteTable, old_summary: Summary | None, new_summary: Summary) -> Diff:
    """Compare two generations; ``None`` for the old one when there is none yet."""
    before, after = old or RouteTable(), new
    old_providers = old_summary.providers if old_summary is not None else {}
    changes = [
        *_providers(old_providers, new_summary.providers),
        *_models(before, after),
        *_rules(old_summary.rules if old_summary is not None else (), new_summary.rules),
        # The first generation would list every default.
        *(_settings(old_summary.settings, new_summary.settings) if old_summary is not None else ()),
    ]
    routes = {route.model: route for route in before.routes}
    changed_providers = {
        name
        for name, facts in new_summary.providers.items()
        if name in old_providers and _wire(facts) != _wire(old_providers[name])
    }
    proofs = tuple(
        route.model
        for route in after.routes
        if set(route.providers) & changed_providers or _served(routes.get(route.model)) != _served(route)
    )
    ways = tuple(
        route.model
        for route in after.routes
        if route.model in routes and not set(route.fallbacks) <= set(routes[route.model].fallbacks)
    )
    return Diff(tuple(changes), proofs, ways)


def _served(route: Route | None) -> tuple[object, ...] | None:
    """Who answers. The fallbacks are not part of it: a longer chain would have every model proved again."""
    if route is None:
        return None
    if route.endpoints:
        members = ((one.member.provider, one.member.model, one.mode, _key(one.params)) for one in route.endpoints)
        return tuple(sorted(members))
    return (route.provider, route.backend_model, route.mode, _key(route.params))


def _key(params: Params) -> str:
    """Comparable with others."""
    return json.dumps(params, sort_keys=True)


def _wire(facts: Mapping[str, Any]) -> tuple[object, ...]:
    return tuple(facts.get(key) for key in ("type", "url", "key"))


def _pairs(old: Mapping[str, Entry], new: Mapping[str, Entry]) -> Iterator[tuple[str, Entry | None, Entry | None]]:
    for name in sorted(old.keys() | new.keys()):
        yield name, old.get(name), new.get(name)


def _providers(old: Mapping[str, Mapping[str, Any]], new: Mapping[str, Mapping[str, Any]]) -> Iterator[Change]:
    for name, was, now in _pairs(old, new):
        if was is None and now is not None:
            where = f" at {now['url']}" if now["url"] else ""
            status = "" if now["status"] == "active" else f", {now['status']}"
            yield Change("+", "provider", name, f"{now['type']}{where}{status}")
        elif now is None:
            yield Change("-", "provider", name)
        elif was is not None and was != now:
            yield Change("~", "provider", name, _differences(was, now))


def _models(old: RouteTable, new: RouteTable) -> Iterator[Change]:
    without = {item.model: item for item in new.unrouted}
    was_without = {item.model for item in old.unrouted}
    before = {route.model: route for route in old.routes}
    for name, was, now in _pairs(before, {route.model: route for route in new.routes}):
        if was is None and now is not None:
            again = " again" if name in was_without else ""
            yield Change("+", "model", name, path(now) + again)
        elif now is None:
            reason = f"no route: {without[name].reason}" if name in without else ""
            yield Change("-", "model", name, reason)
        elif was is not None and was != now:
            yield Change("~", "model", name, "; ".join(what(was, now)))
    for name in sorted(without.keys() - before.keys() - was_without):
        yield Change("-", "model", name, f"no route: {without[name].reason}")
    for name in sorted(was_without - without.keys() - {route.model for route in new.routes}):
        yield Change("-", "model", name, "had no route")


def _rules(old: tuple[tuple[str, str], ...], new: tuple[tuple[str, str], ...]) -> Iterator[Change]:
    before, after = dict(old), dict(new)
    for name, was, now in _pairs(before, after):
        if was is None and now is not None:
            yield Change("+", "rule", name, now)
        elif now is None:
            yield Change("-", "rule", name)
        elif was != now:
            yield Change("~", "rule", name, f"{was} -> {now}")
    kept = [name for name in before if name in after]
    if kept != [name for name in after if name in before]:
        yield Change("~", "rule", "order", "the first that matches wins, and they are in another order now")


def _settings(old: Kept, new: Kept) -> Iterator[Change]:
    for name in sorted(old.recorded.keys() | new.recorded.keys()):
        was, now = old.recorded.get(name), new.recorded.get(name)
        if was != now:
            yield Change("~", "setting", name, f"{_value(was)} -> {_value(now)}")


def _differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    keys = [key for key in {**now, **was} if was.get(key) != now.get(key)]
    return "; ".join(f"{key} {_value(was.get(key))} -> {_value(now.get(key))}" for key in keys)


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
