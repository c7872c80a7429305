"""Why a request goes where it goes: the rule that wins, who is asked in which order, and what follows. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import asdict, dataclass, field
from typing import Any

from aiops.spec.choosing import choose
from aiops.spec.choosing.ask import Known
from aiops.spec.choosing.conditions import Facts
from aiops.spec.choosing.lookup import Kind, Resolver
from aiops.spec.choosing.prefix import Prefix
from aiops.spec.choosing.rules import BY_OWN_WORD, Group, Imbalance, MetadataRule, RoutingTable, Strategy
from aiops.spec.choosing.said import Said
from aiops.spec.lanes.decide import MAIN, decide
from aiops.spec.lanes.table import Lane, Lanes
from aiops.spec.routes.deployments import identity
from aiops.spec.routes.routes import Route, RouteTable
from aiops.spec.routes.routing import DEFAULT, Routing
from aiops.spec.shapes.model import DesiredState
from aiops.spec.shapes.provider_types import Mode
from aiops.spec.sources import MAPPINGS, PROVIDERS
from aiops.spec.suggest import nearest
from aiops.spec.yaml.yaml12 import Path

_RULES = {"pattern": "the pattern `{}`", "size": "the size rule `{}`", "default": "the default provider"}
HALF = 0.5  # in the place of chance: of equal draws the larger weight comes first


@dataclass(frozen=True)
class Step:
    """One who is asked. ``model``: what the provider calls it. ``lane_why``: why it is asked by way of LiteLLM."""

    provider: str
    model: str
    why: str
    lane: Lane
    lane_why: str


@dataclass(frozen=True)
class Fallback:
    """A served name that is tried when no member answers."""

    name: str
    provider: str
    why: str


@dataclass(frozen=True)
class Explanation:
    """``rule``: what wins, in words; empty when nobody answers. ``source``: ``file:line`` of it.

    ``description``: what the operator wrote about it. ``shadowed``: what would have matched too. ``notes``: what else a
    person should know.
    """

    model: str
    rule: str = ""
    source: str = ""
    description: str = ""
    strategy: str | None = None
    members: tuple[Step, ...] = ()
    fallbacks: tuple[Fallback, ...] = ()
    shadowed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    nearest: str | None = None

    @property
    def way(self) -> tuple[object, ...]:
        """What decides about a request; two generations with the same one treat it alike."""
        asked = tuple((step.provider, step.model, step.lane) for step in self.members)
        return asked, tuple(fallback.name for fallback in self.fallbacks), self.strategy

    def lines(self) -> list[str]:
        """For people."""
        if not self.rule:
            hint = [f"did you mean `{self.nearest}`?"] if self.nearest else []
            return [f"{self.model}: nobody answers", *self.notes, *hint]
        lines = [f"{self.model}: {self.rule}" + (f" ({self.source})" if self.source else "")]
        if self.description:
            lines.append(f"description: {self.description}")
        if self.strategy:
            lines.append(f"strategy: {self.strategy}")
        for number, step in enumerate(self.members):
            when = "asked first" if number == 0 else "then"
            lines.append(f"{when}: {step.provider}/{step.model}, {step.why}")
            lines.append(f"lane: {step.lane}" + (f", because {step.lane_why}" if step.lane_why else ""))
        lines += [f"fallback: {each.name} ({each.provider}), {each.why}" for each in self.fallbacks]
        lines += [f"shadowed: {text}" for text in self.shadowed]
        return lines + [f"note: {text}" for text in self.notes]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Idle:
    """A gateway in which nobody is busy, slow or avoided. Implements ``choose.Load``."""

    def __init__(self, table: RoutingTable) -> None:
        self._table = table

    def in_flight(self, provider: str) -> int:
        return 0

    def parallel(self, provider: str) -> int:
        facts = self._table.providers.get(provider)
        return facts.parallel if facts else 1

    def local(self, provider: str) -> bool:
        facts = self._table.providers.get(provider)
        return facts is not None and facts.local

    def asked(self, deployment: str) -> int:
        return 0

    def latency(self, deployment: str) -> float | None:
        return None

    def tokens_this_minute(self, deployment: str) -> int:
        return 0

    def success_rate(self, deployment: str) -> float:
        return 1.0

    def avoided(self, provider: str) -> str | None:
        return None

    def warm(self, provider: str) -> bool:
        return True

    def said(self, provider: str) -> Said | None:
        return None

    def known(self, prefix: Prefix) -> Known:
        return Known({}, None, {})

    def turns(self, group: Group) -> MutableMapping[str, float]:
        return {}


@dataclass
class Explainer:
    """Explains requests to one desired state. ``table`` is what it resolves to."""

    state: DesiredState
    table: RouteTable
    _lanes: Lanes = field(init=False)
    _routing: Routing = field(init=False)
    _resolver: Resolver = field(init=False)
    _plain_names: Mapping[str, str] = field(init=False)  # by the id of their one deployment

    def __post_init__(self) -> None:
        state = self.state
        self._routing = Routing.of(state.providers, state.exact_matches, state.fallback_chains, state.mappings)
        self._resolver = Resolver(self.table.rules)
        self._lanes = decide(state, self.table)
        self._plain_names = {
            identity(route.model, route.provider, route.backend_model): route.model
            for route in self.table.routes
            if not route.endpoints
        }

    def explain(self, facts: Facts, path: str = "") -> Explanation:
        """What happens to a request of which ``facts`` are known. ``path``: behind ``/v1/``; "": what the first one
        who is asked is there for."""
        name, rules = facts.model, self.table.rules
        route = self.table.route(name)
        group = rules.names.get(name)
        if group is not None:
            return self._grouped(group, facts, path, self._named(name), self._chained(name, group.fallbacks))
        if route is not None:
            return self._plain(route, path)
        found = self._resolver.find(name)
        if found is not None and found.group is not None:
            named = (_RULES[found.kind].format(found.group.name), found.group.source)
            return self._grouped(found.group, facts, path, named, self._of_rule(found.kind, found.group))
        gone = [item.reason for item in self.table.unrouted if item.model == name]
        return Explanation(name, notes=tuple(gone), nearest=None if gone else nearest(name, self.table.models))

    # --- the parts of an explanation

    def _plain(self, route: Route, path: str) -> Explanation:
        rule, source = self._named(route.model)
        lane = self._lanes.of(identity(route.model, route.provider, route.backend_model), path or _path(route.mode))
        step = Step(route.provider, route.backend_model, "the only one", *lane)
        away = route.substitute_for
        return Explanation(
            route.model,
            rule,
            source,
            members=(step,),
            fallbacks=tuple(self._chained(route.model, route.fallbacks)),
            shadowed=tuple(self._shadowed(route.model, None)),
            notes=(f"`{away}` is disabled; `{route.provider}` answers for it",) if away else (),
        )

    def _grouped(
        self, group: Group, facts: Facts, path: str, named: tuple[str, str], fallbacks: Iterator[Fallback]
    ) -> Explanation:
        rules, idle = self.table.rules, Idle(self.table.rules)
        preferred = choose.rule_for(rules.metadata, group, facts, idle)
        order = choose.order(group, facts, idle, lambda: HALF, preferred, takes_turn=False)
        first = order[0].member
        spec = self.state.providers[first.provider].model(first.model or "")
        path = path or _path(spec.mode if spec is not None else "chat")
        steps = [
            Step(
                choice.member.provider,
                choice.member.model or facts.model,
                self._why(choice, facts.model),
                *self._lanes.of(choice.member.deployment, path),
            )
            for choice in order
        ]
        return Explanation(
            facts.model,
            *named,
            group.description,
            group.strategy.value if len(group.members) > 1 else None,
            tuple(steps),
            tuple(fallbacks),
            tuple(self._shadowed(facts.model, group)),
            (*([_moved(preferred)] if preferred else ()), *self._notes(group)),
        )

    def _named(self, name: str) -> tuple[str, str]:
        """Which rule a served name is, and where it is written."""
        state = self.state
        for section, rules, words in (
            ("load_balancing", state.mappings.load_balancing, "load balancing"),
            ("exact_matches", state.exact_matches, "an exact match"),
            ("capabilities", state.mappings.capabilities, "a capability"),
        ):
            if name in rules:
                return words, self._line(MAPPINGS, (section, name))
        provider = self._routing.targets[name].provider
        index = next((index for index, model in enumerate(provider.models) if model.name == name), 0)
        return f"a model of {provider.name}", self._line(PROVIDERS, ("providers", provider.name, "models", index))

    def _chained(self, name: str, fallbacks: tuple[str, ...]) -> Iterator[Fallback]:
        """With why each of the fallbacks of a served name is one."""
        target = self._routing.targets[name]
        own = self._routing.own_fallback(target)
        chain = name if name != DEFAULT and name in self.state.fallback_chains else DEFAULT
        where = self._line(MAPPINGS, ("fallback_chains", chain))
        for each in fallbacks:
            why = "its own fallback" if each == own else f"{'its' if chain == name else 'the default'} chain ({where})"
            yield Fallback(each, self._provider(each), why)

    def _of_rule(self, kind: Kind, group: Group) -> Iterator[Fallback]:
        """The same for a rule that covers many names."""
        rules = self.state.mappings.rules
        written = {
            "pattern": {rule.pattern: rule.fallback for rule in self.state.mappings.patterns},
            # Of two equal sizes the first wins; two equal patterns are refused.
            "size": {rule.size: rule.fallback for rule in reversed(rules.model_size_routing)},
            "default": {group.name: rules.default_fallback},
        }
        own = self._routing.rule_fallback(written[kind].get(group.name))
        where = self._line(MAPPINGS, ("fallback_chains", DEFAULT))
        for each in group.fallbacks:
            why = "the rule's fallback" if each == own else f"the default chain ({where})"
            yield Fallback(each, self._provider(each), why)

    def _provider(self, name: str) -> str:
        route = self.table.route(name)
        return route.provider if route else "?"

    def _shadowed(self, name: str, winner: Group | None) -> Iterator[str]:
        """Rules that match too and come later."""
        for index in self._resolver.matching(name):
            rule = self.table.rules.patterns[index]
            if rule.group is not winner:
                yield f"the pattern `{rule.pattern}` matches too ({rule.group.source})"

    def _why(self, choice: choose.Choice, name: str) -> str:
        """Fallbacks are members where providers can be avoided, so that one of those is not asked in between."""
        other = self._plain_names.get(choice.member.deployment, name)
        return choice.why if other == name else f"{choice.why}; it is the fallback `{other}`"

    def _notes(self, group: Group) -> Iterator[str]:
        """What else is written that bears on the order, or looks as if it did."""
        for rule in self.state.mappings.patterns if group.kind == "pattern" else ():
            if rule.pattern == group.name and rule.priority is not None:
                yield f"`priority: {rule.priority}` is documentation: the first pattern of the file wins"
        if len(group.members) == 1:
            return
        yield from self._by_load(group)
        special, path = self.state.mappings.special, "special_cases"
        first, limited, errors = (
            special.first_request_routing,
            special.rate_limited_fallback,
            special.error_based_routing,
        )
        cases = []
        if first is not None:
            cases.append(("first_request_routing", "a cold provider", "", first.description))
        if limited is not None and limited.enabled:
            seconds = f" for {limited.fallback_duration_seconds:g} s"
            cases.append(("rate_limited_fallback", "a provider that answers 429", seconds, limited.description))
        if errors is not None and errors.enabled:
            what = f"a provider that fails {errors.error_threshold} times in a row"
            cases.append(("error_based_routing", what, f" for {errors.cooldown_seconds:g} s", errors.description))
        for key, who, how_long, about in cases:
            where = self._line(MAPPINGS, (path, key)) + (f", {about}" if about else "")
            yield f"{who} is asked last{how_long} ({where})"

    def _by_load(self, group: Group) -> Iterator[str]:
        if group.strategy is Strategy.CACHE_AWARE:
            bound = group.imbalance or Imbalance()
            yield (
                "a conversation stays with the server that had most of it; it leaves one that would let it wait where "
                f"another would not, or that has more than {bound.factor:g} times and {bound.requests:g} requests more "
                "than the least loaded one"
            )
        if group.strategy not in BY_OWN_WORD:
            return
        for name in dict.fromkeys(member.provider for member in group.members):
            figures = self.table.rules.providers[name].figures
            if figures is not None:
                pages = " or /slots" if figures.kind == "llama_cpp" else ""
                yield f"`{name}` is asked how busy it is: what waits there counts first ({figures.url}/metrics{pages})"

    def _line(self, file: str, path: Path) -> str:
        line = self.state.line(file, path)
        return f"{file}:{line}" if line else ""


def _path(mode: Mode) -> str:
    return MAIN.get(mode, "chat/completions")


def _moved(rule: MetadataRule) -> str:
    about = f", {rule.description}" if rule.description else ""
    return f"the routing rule `{rule.name}` ({rule.source}{about}) moves it to `{rule.provider}`: `{rule.condition}`"
