"""Whether everything that the files name is answered, in one word, and why not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from aiops.actions.route.live import ProviderState
from aiops.spec.routes.routes import Route, RouteTable
from aiops.spec.shapes.urls import connects_to, is_local
from aiops.spec.suggest import listed

Word = Literal["ok", "degraded", "down"]

ANSWERS: Final = ("running", "degraded")  # states of a gateway
IN_A_ROW: Final = 3  # requests that failed: one may be the request's own fault
LATELY_SECONDS: Final = 300.0
MOST_NAMES: Final = 5

Facts = Mapping[str, Any]  # of a provider, as a generation keeps them, see ``spec.routes.summary``
Reach = Callable[[Collection[tuple[str, int]]], Mapping[tuple[str, int], str]]


@dataclass(frozen=True)
class Health:
    """``why``: sentences that stay the same as long as what they say does; empty when all is well."""

    word: Word
    why: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        return self.word if not self.why else f"{self.word}: {'; '.join(self.why)}"


def judge(
    gateway: str,
    serves: bool,
    reasons: Collection[str],
    table: RouteTable,
    providers: Mapping[str, Facts],
    dead: Mapping[str, str],
    unproved: Collection[str],
    *,
    refuses: bool = False,
) -> Health:
    """``gateway``: its state; ``serves``: whether any generation does; ``reasons``: why it is not simply running.
    ``dead``: provider -> why it does not answer. ``unproved``: those that were put into service without a proof.
    ``refuses``: every key but the master key."""
    if not serves or gateway not in ANSWERS:
        return Health("down", tuple(reasons) or (f"the gateway is {gateway}",))
    why = [
        *reasons,
        *(_dead(name, why, table, dead) for name, why in dead.items()),
        *_disabled(table, providers),
        *(f"{name} is served unproved" for name in unproved),
    ]
    known = len(table.routes) + len(table.unrouted)
    if known and not any(_answered(route, table, dead) for route in table.routes):
        return Health("down", ("nobody answers any model", *why))
    if refuses:
        return Health("down", tuple(why))
    return Health("degraded" if why or gateway == "degraded" else "ok", tuple(why))


def dead_providers(
    table: RouteTable, providers: Mapping[str, Facts], told: Collection[ProviderState], reach: Reach
) -> dict[str, str]:
    """The active ones that do not answer, and how that shows.

    Those near by are connected to, which costs nobody anything; of the others only what happened to requests is known.
    """
    used = {name for route in table.routes for name in route.providers}
    near = {
        name: connects_to(facts["url"])
        for name, facts in providers.items()
        if facts["status"] == "active" and name in used and facts["url"] and is_local(facts["url"])
    }
    refused = reach(set(near.values()))
    dead = {name: f"{_at(*near[name])}: {refused[near[name]]}" for name in sorted(near) if near[name] in refused}
    for each in told:
        if each.provider in dead or each.provider not in used:
            continue
        if each.avoided:
            dead[each.provider] = f"avoided for a while: {each.avoided}"
        elif each.errors_in_a_row >= IN_A_ROW and (each.failed_ago or 0.0) < LATELY_SECONDS:
            dead[each.provider] = "its latest requests all failed"
    return dead


def _at(host: str, port: int) -> str:
    return f"{f'[{host}]' if ':' in host else host}:{port}"


def _dead(name: str, why: str, table: RouteTable, dead: Mapping[str, str]) -> str:
    mine = [route for route in table.routes if name in route.providers]
    lost = [route.model for route in mine if not _answered(route, table, dead)]
    kept = [route.model for route in mine if _answered(route, table, dead)]
    return f"provider {name} does not answer ({why}){_names(kept, lost)}"


def _disabled(table: RouteTable, providers: Mapping[str, Facts]) -> Iterator[str]:
    for name, facts in providers.items():
        if facts["status"] != "disabled":
            continue
        kept = [route.model for route in table.routes if route.substitute_for == name]
        lost = [item.model for item in table.unrouted if item.provider == name]
        if kept or lost:
            yield f"provider {name} is disabled{_names(kept, lost)}"


def _names(kept: list[str], lost: list[str]) -> str:
    others = f": others answer {listed(kept, MOST_NAMES)}" if kept else ""
    nobody = f"{',' if others else ':'} nobody answers {listed(lost, MOST_NAMES)}" if lost else ""
    return others + nobody


def _answered(route: Route, table: RouteTable, dead: Collection[str]) -> bool:
    """By one of its own providers, or by a fallback."""
    ways = [route, *(other for name in route.fallbacks if (other := table.route(name)) is not None)]
    return any(set(way.providers) - set(dead) for way in ways)
