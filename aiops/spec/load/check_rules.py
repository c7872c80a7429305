"""What must hold for patterns, routing rules and special cases. Every rule reports; none stops the others."""

from __future__ import annotations

from collections.abc import Iterator

from aiops.errors import Problem
from aiops.spec.choosing.size_ranges import parse_range
from aiops.spec.load.check_groups import condition_problem, strategy_problem, thresholds_problem
from aiops.spec.load.draft import Draft, Suggester
from aiops.spec.names import quoted
from aiops.spec.routes.routing import Routing
from aiops.spec.routes.targets import kind_of
from aiops.spec.shapes.mappings import Pattern
from aiops.spec.sources import MAPPINGS
from aiops.spec.yaml.yaml12 import Path


def check_rules(draft: Draft, routing: Routing) -> Iterator[Problem]:
    """Every problem of the rules."""
    suggest = Suggester(draft)
    yield from _patterns(draft, routing, suggest)
    yield from _defaults(draft, routing, suggest)
    yield from _metadata(draft)
    yield from _sizes(draft, routing, suggest)
    yield from _special(draft)


def _patterns(draft: Draft, routing: Routing, suggest: Suggester) -> Iterator[Problem]:
    if not draft.mappings.patterns:
        return
    from aiops.spec.choosing import patterns  # RE2 is loaded for those who have patterns

    seen: dict[str, int] = {}
    total = 0
    for index, rule in enumerate(draft.mappings.patterns):
        path: Path = ("patterns", index)
        what = f"the pattern {quoted(rule.pattern)}"
        try:
            total += patterns.check(rule.pattern)
        except patterns.PatternError as error:
            yield draft.problem(MAPPINGS, (*path, "pattern"), f"{what}: {error.message}", error.hint)
        if rule.pattern in seen:
            line = draft.documents[MAPPINGS].line(("patterns", seen[rule.pattern]))
            yield draft.problem(
                MAPPINGS, (*path, "pattern"), f"{what} is written twice", f"the first is on line {line}"
            )
        seen.setdefault(rule.pattern, index)
        yield from draft.provider_problem((*path, "provider"), what, rule.provider)
        if rule.backend_model is not None:
            yield from draft.listed_problem((*path, "backend_model"), what, rule.provider, rule.backend_model)
        if rule.rename is not None:
            yield from _rename(draft, path, what, rule)
        if rule.fallback is not None:
            yield from _fallback(draft, routing, suggest, (*path, "fallback"), what, rule.fallback)
    if total > patterns.MAX_PROGRAMS:
        message = f"all patterns together compile to {total:,} steps, more than {patterns.MAX_PROGRAMS:,}"
        yield draft.problem(MAPPINGS, ("patterns",), message, "use fewer or smaller `{n}`")


def _rename(draft: Draft, path: Path, what: str, rule: Pattern) -> Iterator[Problem]:
    from aiops.spec.choosing import patterns

    if rule.backend_model is not None:
        message = f"{what}: `rename` has no effect beside `backend_model`"
        yield draft.problem(MAPPINGS, (*path, "rename"), message, "keep one")
    try:
        patterns.Renaming(rule.pattern, rule.rename or "")
    except patterns.PatternError as error:
        yield draft.problem(MAPPINGS, (*path, "rename"), f"{what}: {error.message}", error.hint)


def _fallback(
    draft: Draft, routing: Routing, suggest: Suggester, path: Path, what: str, wanted: str
) -> Iterator[Problem]:
    """Names that a rule covers are asked for chats: that is what has to answer."""
    if wanted in draft.names:
        target = routing.targets.get(wanted)
        if target is not None and kind_of(target.mode) != "text":
            message = f"{what}: the fallback `{wanted}` is a model for {target.mode}"
            yield draft.problem(MAPPINGS, path, message, "name a chat model")
    elif wanted in draft.all_providers:
        offered = routing.by_provider.get(wanted, ())
        if wanted in draft.providers and not any(target.mode == "chat" for target in offered):
            message = f"{what}: the provider `{wanted}` serves no chat model to fall back to"
            yield draft.problem(MAPPINGS, path, message, "name a served model")
    else:
        message = f"{what}: the fallback `{wanted}` is neither a served model nor a provider"
        yield draft.problem(MAPPINGS, path, message, suggest(wanted, also=draft.all_providers))


def _defaults(draft: Draft, routing: Routing, suggest: Suggester) -> Iterator[Problem]:
    rules, path = draft.mappings.rules, "routing_rules"
    yield from strategy_problem(draft, (path, "default_strategy"), "`default_strategy`", rules.default_strategy)
    yield from thresholds_problem(draft, (path, "default_strategy"), "`default_strategy`", rules.default_strategy)
    if rules.default_provider is not None:
        yield from draft.provider_problem((path, "default_provider"), "`default_provider`", rules.default_provider)
    if rules.default_fallback is not None:
        at: Path = (path, "default_fallback")
        yield from _fallback(draft, routing, suggest, at, "`default_fallback`", rules.default_fallback)
        if rules.default_provider is None:
            message = "`default_fallback` has no effect without `default_provider`"
            hint = "for models without a chain of their own write the chain `default`"
            yield draft.problem(MAPPINGS, at, message, hint)


def _metadata(draft: Draft) -> Iterator[Problem]:
    for name, rule in draft.mappings.rules.request_metadata_routing.items():
        path: Path = ("routing_rules", "request_metadata_routing", name)
        yield from draft.provider_problem((*path, "provider"), f"`{name}`", rule.provider)
        yield from condition_problem(draft, (*path, "condition"), f"`{name}`", rule.condition)


def _sizes(draft: Draft, routing: Routing, suggest: Suggester) -> Iterator[Problem]:
    for index, rule in enumerate(draft.mappings.rules.model_size_routing):
        path: Path = ("routing_rules", "model_size_routing", index)
        what = f"the size {quoted(rule.size)}"
        try:
            parse_range(rule.size)
        except ValueError as error:
            yield draft.problem(MAPPINGS, (*path, "size"), str(error))
        yield from draft.provider_problem((*path, "provider"), what, rule.provider)
        if rule.fallback is not None:
            yield from _fallback(draft, routing, suggest, (*path, "fallback"), what, rule.fallback)


def _special(draft: Draft) -> Iterator[Problem]:
    places = draft.mappings.special.geographic_routing
    if places is not None and places.enabled:
        path: Path = ("special_cases", "geographic_routing", "enabled")
        yield draft.problem(MAPPINGS, path, "routing by place is not supported", "set it to false, or remove it")
