"""What must hold for balanced names and capabilities. Every rule reports; none stops the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

from aiops.errors import Problem
from aiops.spec.choosing import sizes
from aiops.spec.choosing.rules import ALIASES, BY_PROFILE, Strategy, strategy
from aiops.spec.load.check_fallbacks import fallback_problem
from aiops.spec.load.draft import Draft, Suggester
from aiops.spec.routes.routing import Routing
from aiops.spec.routes.targets import Place, Target, kind_of
from aiops.spec.shapes.mappings import DEFAULT_ABOVE, Balanced, Capability, Threshold
from aiops.spec.sources import MAPPINGS
from aiops.spec.suggest import did_you_mean, listed
from aiops.spec.yaml.yaml12 import Path

_LEVELLED = {
    Strategy.COMPLEXITY_BASED: "complexity_thresholds",
    Strategy.CONTEXT_BASED: "context_thresholds",
}
_IN_TURN = (Strategy.DIRECT, Strategy.ROUND_ROBIN)
"""Strategies that have no use for weights, not even between equals."""


def check_groups(draft: Draft, routing: Routing) -> Iterator[Problem]:
    """Every problem of balanced names and capabilities."""
    suggest = Suggester(draft)
    for fault in routing.faults:
        hint = fault.hint or (suggest(fault.wanted, also=draft.all_providers) if fault.wanted else "")
        yield draft.problem(MAPPINGS, fault.path, fault.message, hint)
    faulty = {str(fault.path[1]) for fault in routing.faults}
    for name, balanced in draft.mappings.load_balancing.items():
        yield from _balanced(draft, name, balanced)
        target = routing.targets.get(name)
        if target is not None and target.rule is balanced:
            yield from _members(draft, ("load_balancing", name), target, balanced.strategy)
            if not target.live and name not in faulty:
                off = next(place.provider.name for place in target.places)
                message = f"`{name}`: all its providers are disabled"
                hint = f"`aiops enable {off}`, or remove the group"
                yield draft.problem(MAPPINGS, ("load_balancing", name), message, hint)
    for name, capability in draft.mappings.capabilities.items():
        target = routing.targets.get(name)
        if target is not None and target.rule is not capability:
            message = f"the capability `{name}` has the name of a served model"
            yield draft.problem(MAPPINGS, ("capabilities", name), message, "give it another name")
            continue
        yield from _capability(draft, routing, suggest, name, capability)
        if target is not None:
            yield from _members(draft, ("capabilities", name), target, capability.routing_strategy)
            yield from _contexts(draft, routing, name, capability)
        elif name not in faulty and (capability.min_context or capability.min_model_size):
            message = f"`{name}`: none of its models is large enough"
            yield draft.problem(MAPPINGS, ("capabilities", name), message, "lower `min_context` or `min_model_size`")


def strategy_problem(draft: Draft, path: Path, what: str, name: str | None) -> Iterator[Problem]:
    """When there is no such strategy."""
    if name is not None and _strategy(name) is None:
        known = [*Strategy, *ALIASES]
        hint = did_you_mean(name, known, f"strategies: {listed(list(Strategy), 20)}")
        yield draft.problem(MAPPINGS, path, f"{what}: unknown strategy `{name}`", hint)


def thresholds_problem(draft: Draft, path: Path, what: str, name: str | None) -> Iterator[Problem]:
    """When a strategy goes by thresholds, which only capabilities have."""
    chosen = _strategy(name)
    if chosen in _LEVELLED:
        hint = f"make it a capability with `{_LEVELLED[chosen]}`"
        yield draft.problem(MAPPINGS, path, f"{what}: `{chosen}` needs thresholds", hint)


def _asked_by(condition: str) -> AbstractSet[str]:
    from aiops.spec.choosing import conditions

    return conditions.parse(condition).names


def condition_problem(draft: Draft, path: Path, what: str, text: str) -> Iterator[Problem]:
    """When a condition does not parse."""
    from aiops.spec.choosing import conditions  # hardly anybody has one

    try:
        conditions.parse(text)
    except conditions.ConditionError as error:
        message = f"{what}: the condition, column {error.column}: {error.message}"
        yield draft.problem(MAPPINGS, path, message, error.hint)


def _strategy(name: str | None) -> Strategy | None:
    try:
        return strategy(name) if name is not None else None
    except ValueError:
        return None


def _balanced(draft: Draft, name: str, spec: Balanced) -> Iterator[Problem]:
    path: Path = ("load_balancing", name)
    yield from strategy_problem(draft, (*path, "strategy"), f"`{name}`", spec.strategy)
    chosen = _strategy(spec.strategy)
    yield from thresholds_problem(draft, (*path, "strategy"), f"`{name}`", spec.strategy)
    if not spec.providers:
        yield draft.problem(MAPPINGS, path, f"`{name}` has no providers", "list some, or remove it")
    yield from _weights(draft, name, spec, chosen)
    asked: set[str] = set()
    for index, member in enumerate(spec.providers):
        backend = member.preferred_model or name
        yield from draft.option_problems(
            (*path, "providers", index, "options"), member.provider, backend, member.options
        )
        if member.condition is not None:
            at = (*path, "providers", index, "condition")
            found = list(condition_problem(draft, at, f"`{name}`", member.condition))
            asked |= _asked_by(member.condition) if not found else {"local_saturated"}
            yield from found
    if spec.parameters.saturation_threshold is not None and "local_saturated" not in asked:
        message = f"`{name}`: `saturation_threshold` has no effect, since no condition asks for `local_saturated`"
        yield draft.problem(MAPPINGS, (*path, "parameters", "saturation_threshold"), message, "remove it")
    yield from _imbalance(draft, name, spec)
    match = draft.exact_matches.get(name)
    if match is None:
        return
    if match.rate_limit is not None:
        message = f"`{name}`: a `rate_limit` would count for each of its providers alone"
        yield draft.problem(
            MAPPINGS, ("exact_matches", name, "rate_limit"), message, "remove it, or do not balance the name"
        )
    if match.provider not in {member.provider for member in spec.providers}:
        message = f"`{name}` is balanced over other providers than `{match.provider}`"
        yield draft.problem(MAPPINGS, ("exact_matches", name, "provider"), message, "name one of them")


def _imbalance(draft: Draft, name: str, spec: Balanced) -> Iterator[Problem]:
    by = spec.strategy or _default(draft)
    if _strategy(by) in (Strategy.CACHE_AWARE, None):
        return
    for key in ("imbalance_factor", "imbalance_requests"):
        if getattr(spec.parameters, key) is not None:
            message = f"`{name}`: `{key}` has no effect with `{by}`"
            yield draft.problem(
                MAPPINGS,
                ("load_balancing", name, "parameters", key),
                message,
                f"use `strategy: {Strategy.CACHE_AWARE}`, or remove it",
            )


def _weights(draft: Draft, name: str, spec: Balanced, chosen: Strategy | None) -> Iterator[Problem]:
    weights = [member.weight for member in spec.providers if member.weight is not None]
    at = [
        ("load_balancing", name, "providers", index, "weight")
        for index, member in enumerate(spec.providers)
        if member.weight is not None
    ]
    if weights and len(weights) < len(spec.providers):
        without = next(index for index, member in enumerate(spec.providers) if member.weight is None)
        message = f"`{name}`: `{spec.providers[without].provider}` has no weight, others have"
        yield draft.problem(
            MAPPINGS, ("load_balancing", name, "providers", without), message, "give all of them one, or none"
        )
    elif weights and not any(abs(sum(weights) - whole) <= whole / 1000 for whole in (1, 100)):
        message = f"`{name}`: the weights add up to {sum(weights):g}, not to 1 or 100"
        yield draft.problem(MAPPINGS, at[0], message)
    if weights and chosen in _IN_TURN:
        hint = "use weighted_round_robin" if chosen is Strategy.ROUND_ROBIN else "remove them"
        yield draft.problem(MAPPINGS, at[0], f"`{name}`: weights have no effect with `{chosen}`", hint)


def _capability(draft: Draft, routing: Routing, suggest: Suggester, name: str, spec: Capability) -> Iterator[Problem]:
    path: Path = ("capabilities", name)
    yield from strategy_problem(draft, (*path, "routing_strategy"), f"`{name}`", spec.routing_strategy)
    chosen = _strategy(spec.routing_strategy)
    if spec.fallback is not None:
        yield from fallback_problem(draft, routing, suggest, (*path, "fallback"), name, spec.fallback)
    if spec.min_model_size is not None:
        try:
            sizes.parse(spec.min_model_size)
        except ValueError as error:
            yield draft.problem(MAPPINGS, (*path, "min_model_size"), f"`{name}`: {error}")
    for needs, key in _LEVELLED.items():
        thresholds = spec.complexity_thresholds if key == "complexity_thresholds" else spec.context_thresholds
        if thresholds is None or not thresholds.levels():
            if chosen is needs:
                message = f"`{name}`: `{chosen}` needs `{key}`"
                yield draft.problem(MAPPINGS, (*path, "routing_strategy"), message)
        elif chosen is not needs and (chosen is not None or spec.routing_strategy is None):
            message = f"`{name}`: `{key}` have no effect with `{chosen or Strategy.DIRECT}`"
            yield draft.problem(MAPPINGS, (*path, key), message, f"use `routing_strategy: {needs}`, or remove them")
        else:
            yield from _rising(draft, name, (*path, key), thresholds.levels())


def _rising(draft: Draft, name: str, path: Path, levels: Mapping[str, Threshold]) -> Iterator[Problem]:
    before: tuple[str, int] | None = None
    for level, threshold in levels.items():
        above = _above(level, threshold)
        if before is not None and above <= before[1]:
            message = f"`{name}`: `{level}` begins above {above} tokens, `{before[0]}` above {before[1]} already"
            yield draft.problem(MAPPINGS, (*path, level), message, "each level begins above the one before")
        before = level, above


def _above(level: str, threshold: Threshold) -> int:
    return DEFAULT_ABOVE[level] if threshold.above is None else threshold.above


def _contexts(draft: Draft, routing: Routing, name: str, spec: Capability) -> Iterator[Problem]:
    """A model that is meant for long prompts can read them."""
    levels = list(spec.context_thresholds.levels().items()) if spec.context_thresholds else []
    for index, (level, threshold) in enumerate(levels):
        following = levels[index + 1] if index + 1 < len(levels) else None
        target = routing.targets.get(threshold.model)
        places = _places(target) if target is not None else ()
        needed = _above(*following) if following else _above(level, threshold) + 1
        for place in places:
            path: Path = ("capabilities", name, "context_thresholds", level)
            if place.context is None:
                hint = place.missing("context_length", "8192")
                message = f"`{name}`: the context of {place.words} is not known, and `{level}` depends on it"
                yield draft.problem(MAPPINGS, path, message, hint)
            elif place.context < needed:
                message = f"`{name}`: {place.words} reads {place.context} tokens, `{level}` needs {needed}"
                yield draft.problem(MAPPINGS, path, message)


def _places(target: Target) -> tuple[Place, ...]:
    return target.places or (Place(target.provider, target.backend, target.spec),)


def _default(draft: Draft) -> str | None:
    """What a group chooses by that does not say how."""
    by_profile = BY_PROFILE[draft.settings.profile].value if draft.settings else None
    return draft.mappings.rules.default_strategy or by_profile


def _members(draft: Draft, path: Path, target: Target, wanted: str | None) -> Iterator[Problem]:
    """All members answer the same kind of requests, and the strategy knows of each what it needs."""
    kinds = sorted({kind_of(place.mode) for place in target.places})
    if len(kinds) > 1:
        message = f"`{target.name}`: its members are models of several kinds: {listed(kinds)}"
        yield draft.problem(MAPPINGS, path, message, "keep those of one `mode`")
    chosen = _strategy(wanted or (_default(draft) if path[0] == "load_balancing" else None))
    for place in target.places:
        if chosen is Strategy.QUALITY_BASED and place.size is None:
            message = f"`{target.name}`: the size of {place.words} is not known, and `{chosen}` goes by it"
            yield draft.problem(MAPPINGS, path, message, place.missing("size", "7B"))
        if chosen is Strategy.COST_BASED and place.price is None:
            message = f"`{target.name}`: {place.words} costs money, but not known how much, and `{chosen}` goes by it"
            yield draft.problem(MAPPINGS, path, message, place.missing("cost_per_1k_tokens", "0.002"))
