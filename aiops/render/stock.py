"""A plain LiteLLM configuration: what LiteLLM can do of it alone, and in words what it cannot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiops.render.litellm import call, config, tell
from aiops.spec.choosing.rules import Group, Member, PatternRule, RoutingTable, Strategy
from aiops.spec.names import HIDDEN
from aiops.spec.routes.routes import RouteTable
from aiops.spec.shapes.model import DesiredState
from aiops.spec.shapes.secrets import FileRef, secret_env
from aiops.spec.yaml.yaml_text import block

MASTER_KEY = "LITELLM_MASTER_KEY"
"""The variable that LiteLLM's documentation has for the gateway's key."""
_SAME: dict[Strategy, str] = {
    Strategy.SIMPLE_SHUFFLE: "simple-shuffle",
    Strategy.LEAST_BUSY: "least-busy",
    Strategy.FASTEST_RESPONSE: "latency-based-routing",
    Strategy.USAGE_BASED: "usage-based-routing-v2",
    Strategy.COST_BASED: "cost-based-routing",
}
_NEAR = {
    Strategy.ROUND_ROBIN: "members are drawn at random instead of in turn",
    Strategy.LEAST_LOADED: "the one with the fewest requests is chosen, whatever share of its slots that is",
    Strategy.WEIGHTED_ROUND_ROBIN: "members are drawn at random by weight instead of in turn",
}
# What stands between `^` and `.*` when it is plain text: letters, and characters that mean themselves.
_PLAIN = r"(?:[A-Za-z0-9 _/:@%,<>=!~&;'\"#-]|\\[^A-Za-z0-9])"
_PREFIX = re.compile(rf"\^(?P<text>{_PLAIN}+)(?:\.\*\$?)?")
_SUFFIX = re.compile(rf"(?:\^?\.\*)?(?P<text>{_PLAIN}+)\$")
_WHOLE = re.compile(rf"\^(?P<text>{_PLAIN}+)\$")


@dataclass(frozen=True)
class Stock:
    """The file, and every rule that is not in it."""

    content: bytes
    gaps: tuple[str, ...]


def stock_config(state: DesiredState, table: RouteTable, rules: RoutingTable, *, aiops_version: str) -> Stock:
    """Equal for equal input. Nothing in it refers to aiops."""
    data = config(state, table)
    gaps: list[str] = []
    deployments = [item for item in data["model_list"] if not item["model_name"].startswith(HIDDEN)]
    _strategies(data["router_settings"], deployments, rules, gaps)
    deployments += _wildcards(state, rules, gaps)
    _special(data["router_settings"], rules, gaps)
    gaps += [f"`{rule.name}` ({rule.source}): requests are not led by `{rule.condition}`" for rule in rules.metadata]
    gaps += [f"{size.group.source}: names are not led by the size that stands in them" for size in rules.sizes]
    data["model_list"] = deployments
    del data["litellm_settings"]["callbacks"]
    del data["general_settings"]["custom_auth"]
    data["general_settings"]["master_key"] = f"os.environ/{MASTER_KEY}"
    return Stock((_head(state, gaps, aiops_version) + block(data)).encode(), tuple(gaps))


def _head(state: DesiredState, gaps: list[str], aiops_version: str) -> str:
    lines = [f"A plain LiteLLM configuration, made by aiops {aiops_version} from sources {state.fingerprint}.", ""]
    lines += [f"Run it with `litellm --config FILE --port {state.gateway.port}`. It needs in its environment:"]
    lines += [f"  {MASTER_KEY}: the gateway's key"]
    for variable, source in secret_env(state).items():
        lines.append(f"  {variable}" + (f": what is in {source.path}" if isinstance(source, FileRef) else ""))
    if gaps:
        lines += ["", "LiteLLM alone cannot do, so it is left out:", *(f"  {gap}" for gap in gaps)]
    return "".join(f"# {line}".rstrip() + "\n" for line in lines) + "\n"


def _strategies(
    router: dict[str, Any], deployments: list[dict[str, Any]], rules: RoutingTable, gaps: list[str]
) -> None:
    """LiteLLM has one strategy for all; members in a fixed order it has by itself."""
    named = {name: group for name, group in rules.names.items() if len(group.members) > 1}
    groups = list(named.values())
    nearest = {**_SAME, Strategy.LEAST_LOADED: _SAME[Strategy.LEAST_BUSY]}
    wanted = {nearest[group.strategy] for group in groups if group.strategy in nearest}
    chosen = wanted.pop() if len(wanted) == 1 else "simple-shuffle"
    if groups:
        router["routing_strategy"] = chosen
    if groups and chosen == "simple-shuffle":
        # When one member fails the others are tried, as in aiops.
        router["enable_weighted_failover"] = True
    for name, group in named.items():
        if group.strategy is Strategy.DIRECT:
            place = {member.deployment: index for index, member in enumerate(group.members, 1)}
            # Fallbacks that became members are fallbacks in LiteLLM, and choose among their own in their own way.
            for item in deployments:
                if item["model_name"] == name and item["model_info"]["id"] in place:
                    item["litellm_params"]["order"] = place[item["model_info"]["id"]]
        elif group.strategy in _NEAR and nearest.get(group.strategy, chosen) == chosen:
            gaps.append(f"`{group.name}` ({group.source}): {_NEAR[group.strategy]}")
        elif nearest.get(group.strategy) != chosen:
            gaps.append(f"`{group.name}` ({group.source}): {chosen} instead of {group.strategy.value}")
        for member in group.members:
            if member.condition is not None:
                where = f"`{group.name}` ({group.source})"
                gaps.append(f"{where}: {member.provider} answers whether or not `{member.condition}`")


def _wildcards(state: DesiredState, rules: RoutingTable, gaps: list[str]) -> Iterator[dict[str, Any]]:
    """Patterns that are a beginning or an end, and the default provider."""
    taken: dict[str, str] = {}
    found: list[tuple[str | None, str | None, str, Group]] = [
        (*_passed_on(rule), f"the pattern `{rule.pattern}`", rule.group) for rule in rules.patterns
    ]
    if rules.default is not None:
        found.append(("*", None, "the default provider", rules.default))
    for name, passed, what, group in found:
        where = f"{what} ({group.source})"
        if name is None:
            gaps.append(f"{where}: LiteLLM knows `*` only")
        elif name in taken:
            gaps.append(f"{where}: {taken[name]} has `{name}` already")
        elif not group.members:
            gaps.append(f"{where}: nobody answers for it now")
        else:
            taken[name] = what
            yield _deployment(state, name, group.members[0], passed or name)
            others = [member.provider for member in group.members[1:]] + list(group.fallbacks)
            if others:
                gaps.append(f"{where}: no fallback to {', '.join(others)}")
    if sum("*" in name for name in taken) > 1:
        gaps.append("of several names with `*` the longest wins, not the first of the file")


def _passed_on(rule: PatternRule) -> tuple[str | None, str | None]:
    """The name with ``*`` that means the same, and what is asked for instead with ``*`` for what it stood for."""
    if rule.rename is None:
        return _wildcard(rule.pattern), None
    plain = rule.pattern.replace("(.*)", ".*", 1)
    kept = rule.rename.replace("\\1", "*", 1)
    return (None if plain == rule.pattern or "\\" in kept or kept.count("*") != 1 else _wildcard(plain)), kept


def _wildcard(pattern: str) -> str | None:
    """The name with ``*`` that means the same as a regular expression; None when there is none."""
    if pattern in (".*", "^.*", "^.*$", ".*$", ".+", "^.+$"):
        return "*"
    for form, name in ((_WHOLE, "{}"), (_PREFIX, "{}*"), (_SUFFIX, "*{}")):
        if (match := form.fullmatch(pattern)) is not None:
            return name.format(re.sub(r"\\(.)", r"\1", match["text"]))
    return None


def _deployment(state: DesiredState, name: str, member: Member, passed: str) -> dict[str, Any]:
    provider = state.providers[member.provider]
    spec = provider.model(member.model) if member.model else None
    model = member.model or passed  # LiteLLM puts what `*` stood for in its place
    mode = spec.mode if spec else "chat"
    # Without an id: one member answers for several patterns.
    one = {"model_name": name, "litellm_params": call(provider, model, mode), "model_info": {"mode": mode}}
    tell(one, provider.params(spec), provider.facts(member.model or "", spec))
    return one


def _special(router: dict[str, Any], rules: RoutingTable, gaps: list[str]) -> None:
    special = rules.special
    if special.error_threshold is not None:
        del router["disable_cooldowns"]
        router |= {"allowed_fails": special.error_threshold - 1, "cooldown_time": special.cooldown}
        gaps.append("`error_based_routing`: failures are counted within a minute, not in a row")
    if special.rate_limited is not None:
        gaps.append("`rate_limited_fallback`: a provider that answered 429 is asked again at once")
    if special.warm_check is not None:
        gaps.append("`first_request_routing`: warm providers are not preferred")
