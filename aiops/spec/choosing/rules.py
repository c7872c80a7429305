"""The routing table: which rule answers a requested name, and which deployments may. Data only, stored as JSON.

Made from the desired state once per generation; read by the gateway for every request and by ``aiops route explain``.
Names that are one plain deployment are not in it: LiteLLM serves those by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal

from aiops.spec.choosing.said import Kind
from aiops.spec.choosing.size_ranges import SizeRange

RuleKind = Literal["exact", "capability", "pattern", "default"]
"""Where a name is found, in the order in which that is looked for."""


class Strategy(StrEnum):
    """How one of a group's members is chosen. docs/routing.md says what each does."""

    SIMPLE_SHUFFLE = "simple-shuffle"
    ROUND_ROBIN = "round-robin"
    WEIGHTED_ROUND_ROBIN = "weighted_round_robin"
    LEAST_LOADED = "least_loaded"
    CACHE_AWARE = "cache_aware"
    LEAST_BUSY = "least-busy"
    FASTEST_RESPONSE = "fastest_response"
    USAGE_BASED = "usage_based"
    MOST_CAPACITY = "most_capacity"
    DIRECT = "direct"
    COMPLEXITY_BASED = "complexity_based"
    CONTEXT_BASED = "context_based"
    QUALITY_BASED = "quality_based"
    ADAPTIVE_WEIGHTED = "adaptive_weighted"
    COST_BASED = "cost-based"


ALIASES: Mapping[str, Strategy] = {
    "round_robin": Strategy.ROUND_ROBIN,
    "weighted-round-robin": Strategy.WEIGHTED_ROUND_ROBIN,
    "least_busy": Strategy.LEAST_BUSY,
    "cache-aware": Strategy.CACHE_AWARE,
    "latency-based-routing": Strategy.FASTEST_RESPONSE,
    "usage-based-routing": Strategy.USAGE_BASED,
    "usage-based-routing-v2": Strategy.USAGE_BASED,
    "cost-based-routing": Strategy.COST_BASED,
    "cost_based": Strategy.COST_BASED,
}
"""Other names for the same, as LiteLLM and older installs have them."""

BY_OWN_WORD = frozenset({Strategy.LEAST_LOADED, Strategy.CACHE_AWARE})
"""Strategies that go by what servers say of themselves, where they say it."""

BY_PROFILE: Mapping[str, Strategy] = {
    "cost": Strategy.COST_BASED,
    "dev": Strategy.SIMPLE_SHUFFLE,
    "prod": Strategy.LEAST_LOADED,
}
"""How a group chooses when nothing says how, by ``profile`` of aiops.yaml."""


def strategy(name: str) -> Strategy:
    """The strategy of that name. Raises ValueError for one that does not exist."""
    return ALIASES.get(name) or Strategy(name)


@dataclass(frozen=True)
class Member:
    """One deployment that may answer.

    ``deployment``: LiteLLM's id of it (``model_info.id``), by which the router can be asked for it.
    ``model``: what its provider calls the model; None passes on the name that was asked for.
    ``above``: it is meant for prompts of more estimated tokens than this (complexity_based, context_based).
    ``size``: parameters in billions. ``context``: tokens. ``cost``: US dollars per 1,000 tokens.
    """

    deployment: str
    provider: str
    model: str | None
    weight: float = 1.0
    condition: str | None = None
    above: int = 0
    size: float | None = None
    context: int | None = None
    cost: float = 0.0


@dataclass(frozen=True)
class Imbalance:
    """How much busier than the least loaded one a server may be and still get what it has had before (cache_aware).

    It is too much when it has more than ``factor`` times the requests, and more than ``requests`` of them beyond.
    """

    factor: float = 1.5
    requests: float = 4.0


@dataclass(frozen=True)
class Group:
    """What answers one name, or every name that one rule covers. ``members`` in the order they were written.

    ``fallbacks``: served names, tried in order after the other members. ``source``: ``file:line`` of the rule.
    ``saturation_threshold``: what ``local_saturated`` means in the conditions of its members. ``imbalance``: of a group
    that is cache_aware, where it is written.
    """

    name: str
    kind: RuleKind
    strategy: Strategy
    members: tuple[Member, ...]
    fallbacks: tuple[str, ...] = ()
    source: str = ""
    description: str = ""
    saturation_threshold: float = 0.8
    imbalance: Imbalance | None = None

    @property
    def is_alone(self) -> bool:
        """Whether nobody can stand in for its one member."""
        return len(self.members) == 1 and not self.fallbacks

    @cached_property
    def has_conditions(self) -> bool:
        """Whether a member is only to be asked under a condition."""
        return any(member.condition for member in self.members)


@dataclass(frozen=True)
class PatternRule:
    """``pattern`` in RE2's syntax, searched in the requested name; the first rule of the file that matches wins.

    ``rename``: what a name becomes that is passed on, ``\\1`` being what the first brackets found.
    """

    pattern: str
    group: Group
    rename: str | None = None


@dataclass(frozen=True)
class SizeRule:
    """For a name no rule knows, by the size that stands in it (``…:7b``): above ``over`` up to ``up_to`` billions."""

    group: Group
    over: float = 0.0
    up_to: float | None = None
    includes_over: bool = False  # whether ``over`` itself belongs to it
    includes_up_to: bool = True

    def holds(self, size: float) -> bool:
        """Whether it is for models of ``size`` billions."""
        return SizeRange(self.over, self.up_to, self.includes_over, self.includes_up_to).holds(size)


@dataclass(frozen=True)
class MetadataRule:
    """Moves a request to ``provider`` when ``condition`` holds, wherever that provider can answer for the name."""

    name: str
    provider: str
    condition: str
    source: str = ""
    description: str = ""


@dataclass(frozen=True)
class QueueFacts:
    """``most`` requests wait in one worker, each ``seconds`` at most."""

    most: int
    seconds: float


@dataclass(frozen=True)
class Figures:
    """Where a server says how busy it is: below ``url``, its root. ``key``: the environment variable of its key."""

    kind: Kind
    url: str
    key: str | None = None


@dataclass(frozen=True)
class ProviderFacts:
    """``parallel``: requests it answers at the same time. ``health_url``: what to ask without cost; None if nothing.
    ``queue``: what comes beyond ``parallel`` waits; None: it is sent all the same. ``figures``: None where it has none,
    or nobody goes by them."""

    parallel: int
    local: bool
    health_url: str | None = None
    queue: QueueFacts | None = None
    figures: Figures | None = None


@dataclass(frozen=True)
class Special:
    """Times are seconds; None switches a case off.

    ``warm_check``: how long a cold provider has to answer its health endpoint before others are preferred.
    ``rate_limited``: how long a provider that answered 429 is avoided.
    ``error_threshold`` failures in a row: avoided for ``cooldown``.
    """

    warm_check: float | None = None
    rate_limited: float | None = None
    error_threshold: int | None = None
    cooldown: float = 60.0


@dataclass(frozen=True)
class RoutingTable:
    """``names``: exact names with more than one member, and capabilities; every other rule in the order of the file.

    ``plain``: the exact names that LiteLLM serves by itself; no rule takes them.
    ``same``: other names of served ones, which are in no list: Ollama's ``name:latest`` is ``name``.
    ``once_more``: deployments that are asked again when they were not there: nobody else could answer.
    """

    plain: tuple[str, ...] = ()
    names: Mapping[str, Group] = field(default_factory=dict)
    patterns: tuple[PatternRule, ...] = ()
    sizes: tuple[SizeRule, ...] = ()
    default: Group | None = None
    metadata: tuple[MetadataRule, ...] = ()
    providers: Mapping[str, ProviderFacts] = field(default_factory=dict)
    special: Special = Special()
    same: Mapping[str, str] = field(default_factory=dict)
    once_more: tuple[str, ...] = ()

    def groups(self) -> Iterator[Group]:
        """The groups of every rule."""
        yield from self.names.values()
        yield from (rule.group for rule in self.patterns)
        yield from (rule.group for rule in self.sizes)
        if self.default is not None:
            yield self.default

    def to_json(self) -> bytes:
        """Deterministic JSON, one line."""
        data = asdict(self)
        for later in ("same", "once_more"):  # as it was before there were any
            if not data[later]:
                del data[later]
        for facts in data["providers"].values():
            _leave_out(facts, "queue", "figures")
        for rule in (*data["patterns"], *data["sizes"]):
            _leave_out(rule["group"], "imbalance")
        for group in (*data["names"].values(), *([data["default"]] if data["default"] else ())):
            _leave_out(group, "imbalance")
        return (json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n").encode()

    @classmethod
    def from_json(cls, content: bytes) -> RoutingTable:
        """The inverse of ``to_json``. Raises ValueError, KeyError or TypeError for what is not one."""
        data = json.loads(content)
        default = data["default"]
        return cls(
            plain=tuple(data["plain"]),
            names={name: _group(group) for name, group in data["names"].items()},
            patterns=tuple(
                PatternRule(item["pattern"], _group(item["group"]), item.get("rename")) for item in data["patterns"]
            ),
            sizes=tuple(SizeRule(**{**item, "group": _group(item["group"])}) for item in data["sizes"]),
            default=None if default is None else _group(default),
            metadata=tuple(MetadataRule(**item) for item in data["metadata"]),
            providers={name: _facts(facts) for name, facts in data["providers"].items()},
            special=Special(**data["special"]),
            same=data.get("same", {}),
            once_more=tuple(data.get("once_more", ())),
        )


def _leave_out(data: dict[str, Any], *keys: str) -> None:
    """What says nothing: the file is as it was before there was such a key."""
    for key in keys:
        if data[key] is None:
            del data[key]


def _facts(data: dict[str, Any]) -> ProviderFacts:
    queue, figures = data.get("queue"), data.get("figures")
    return ProviderFacts(
        data["parallel"],
        data["local"],
        data["health_url"],
        None if queue is None else QueueFacts(**queue),
        None if figures is None else Figures(**figures),
    )


def _group(data: dict[str, Any]) -> Group:
    return Group(
        name=data["name"],
        kind=data["kind"],
        strategy=Strategy(data["strategy"]),
        members=tuple(Member(**member) for member in data["members"]),
        fallbacks=tuple(data["fallbacks"]),
        source=data["source"],
        description=data["description"],
        saturation_threshold=data["saturation_threshold"],
        imbalance=Imbalance(**data["imbalance"]) if "imbalance" in data else None,
    )
