"""What is allowed and still worth knowing: rules that overlap, are never reached, or have no effect at present."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from aiops.errors import Problem
from aiops.spec.choosing.rules import Special
from aiops.spec.choosing.size_ranges import parse_range
from aiops.spec.choosing.sizes import shown
from aiops.spec.names import quoted
from aiops.spec.routes.circles import circles
from aiops.spec.routes.routes import RouteTable
from aiops.spec.routes.routing import Routing
from aiops.spec.shapes.model import DesiredState
from aiops.spec.shapes.urls import without_endpoint
from aiops.spec.sources import MAPPINGS, PROVIDERS
from aiops.spec.yaml.yaml12 import Path

_OVERLAPS = 20
"""Pairs of patterns that are named; who has more has got the idea."""


def notes(state: DesiredState, table: RouteTable) -> list[Problem]:
    """In the order of the file. They are no problems: nothing is refused for them."""
    return sorted(
        Problem(file, state.line(file, path), message)
        for file, path, message in (
            *_addresses(state),
            *((MAPPINGS, *note) for note in _of_mappings(state, table)),
        )
    )


Note = tuple[Path, str]


def _addresses(state: DesiredState) -> Iterator[tuple[str, Path, str]]:
    for name, provider in state.providers.items():
        written = state.written(PROVIDERS, path := ("providers", name, "base_url"))
        if isinstance(written, str) and not provider.exact_url:
            _, endpoint = without_endpoint(written)
            if endpoint:
                message = f"`{endpoint}` is an endpoint and no part of the address: {provider.root} is asked"
                yield PROVIDERS, path, message


def _of_mappings(state: DesiredState, table: RouteTable) -> Iterator[Note]:
    yield from _patterns(state, table)
    yield from _sizes(state)
    yield from _chains(state, table)
    yield from _circles(state)
    yield from _groups(state, table)
    yield from _metadata(state, table)
    yield from _special(table)


def _patterns(state: DesiredState, table: RouteTable) -> Iterator[Note]:
    """Judged by the names that are known: all that are served, and all that providers list."""
    rules = state.mappings.patterns
    if not rules:
        return
    from aiops.spec.choosing.patterns import PatternSet  # RE2 is loaded for those who have patterns

    found = PatternSet([rule.pattern for rule in rules])
    names = {*table.models, *(model.name for provider in state.providers.values() for model in provider.models)}
    matched: set[int] = set()
    winners: set[int] = set()
    overlaps: dict[tuple[int, int], str] = {}
    for name in sorted(names):
        first, *others = found.matches(name) or [-1]
        if first < 0:
            continue
        matched |= {first, *others}
        winners.add(first)
        for other in others:
            overlaps.setdefault((first, other), name)
    for index, rule in enumerate(rules):
        what = f"the pattern {quoted(rule.pattern)}"
        if index not in matched:
            yield ("patterns", index), f"{what} matches no known name"
        elif index not in winners:
            yield ("patterns", index), f"{what} never wins: earlier ones match every known name that it matches"
    for (first, other), name in list(overlaps.items())[:_OVERLAPS]:
        one, two = quoted(rules[first].pattern), quoted(rules[other].pattern)
        yield ("patterns", other), f"the patterns {one} and {two} both match {quoted(name)}; the first wins"


def _sizes(state: DesiredState) -> Iterator[Note]:
    rules = state.mappings.rules.model_size_routing
    if not rules:
        return
    path: Path = ("routing_rules", "model_size_routing")
    ranges = [parse_range(rule.size) for rule in rules]
    ends = sorted({end for size in ranges for end in (size.over, size.up_to) if end})
    between = [(low + high) / 2 for low, high in pairwise(ends)]
    gaps: list[float] = []
    overlaps: set[tuple[int, int]] = set()
    for size in sorted([*ends, *between, ends[0] / 2, ends[-1] * 2]):
        holding = [index for index, one in enumerate(ranges) if one.holds(size)]
        if not holding:
            gaps.append(size)
        overlaps |= {(holding[0], other) for other in holding[1:]}
    for first, other in sorted(overlaps):
        message = f"the sizes {quoted(rules[first].size)} and {quoted(rules[other].size)} overlap; the first wins"
        yield (*path, other), message
    if gaps:
        yield path, f"no rule is for models of {', '.join(shown(gap) for gap in gaps[:5])}"


def _chains(state: DesiredState, table: RouteTable) -> Iterator[Note]:
    served = set(table.models)
    for name, chain in state.fallback_chains.items():
        off = [other for other in chain.chain if other not in served]
        if off:
            yield ("fallback_chains", name), f"the chain of {quoted(name)} does not reach {_listed(off)} at present"


def _circles(state: DesiredState) -> Iterator[Note]:
    if not state.fallback_chains and not any(match.fallback for match in state.exact_matches.values()):
        return
    routing = Routing.of(state.providers, state.exact_matches, state.fallback_chains, state.mappings)
    for circle in circles(routing.ways()):
        name = circle[-2]
        path: Path = ("fallback_chains", name) if name in state.fallback_chains else ("exact_matches", name)
        words = " -> ".join(circle)
        yield path, f"fallbacks go in a circle: {words}; a request tries each of them once"


def _groups(state: DesiredState, table: RouteTable) -> Iterator[Note]:
    for route in table.routes:
        balanced = state.mappings.load_balancing.get(route.model)
        if balanced is not None and len(route.endpoints) == 1 < len(balanced.providers):
            only = route.endpoints[0].member.provider
            yield ("load_balancing", route.model), f"{quoted(route.model)}: only `{only}` of its providers is active"


def _metadata(state: DesiredState, table: RouteTable) -> Iterator[Note]:
    reachable = {
        member.provider for group in table.rules.groups() if len(group.members) > 1 for member in group.members
    }
    for name, rule in state.mappings.rules.request_metadata_routing.items():
        path: Path = ("routing_rules", "request_metadata_routing", name)
        if state.providers[rule.provider].status != "active":
            yield path, f"{quoted(name)} does nothing while `{rule.provider}` is disabled"
        elif rule.provider not in reachable:
            yield path, f"{quoted(name)} does nothing: no name can be answered by `{rule.provider}` and by another"


def _special(table: RouteTable) -> Iterator[Note]:
    if table.rules.special != Special() and not any(len(group.members) > 1 for group in table.rules.groups()):
        yield ("special_cases",), "`special_cases` change nothing: no name has a second provider or a fallback"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(quoted(name) for name in names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
