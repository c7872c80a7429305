"""Which member of a group answers one request, and who is tried after it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

from aiops.spec.choosing import conditions
from aiops.spec.choosing.ask import Ask, Load, Random, Ranked, saturation
from aiops.spec.choosing.conditions import Condition, Facts
from aiops.spec.choosing.prefix import Prefix
from aiops.spec.choosing.rules import Group, Imbalance, Member, MetadataRule, Strategy
from aiops.spec.choosing.strategies import RANKINGS


class Standing(NamedTuple):
    """What decides before the strategy does, the weightiest first; of each False is better."""

    avoided: bool
    moved_away: bool  # a routing rule prefers another provider
    unmet: bool  # its condition
    cold: bool


class _Reasons(NamedTuple):
    """What the members of one standing were put in order by."""

    standing: Standing
    ask: Ask
    word: Callable[[Ranked, Ask], str]
    preferred: MetadataRule | None


class Choice(NamedTuple):
    """A member in its place."""

    ranked: Ranked
    reasons: _Reasons | None  # None: it is the only one

    @property
    def member(self) -> Member:
        return self.ranked.member

    @property
    def why(self) -> str:
        """Why it has its place, in words for people. Not asked for when a request is routed."""
        if self.reasons is None:
            return "the only one"
        standing, ask, word, preferred = self.reasons
        provider = self.member.provider
        notes = []
        if standing.avoided:
            notes.append(f"`{provider}` is avoided: {ask.load.avoided(provider)}")
        if preferred is not None and not standing.moved_away:
            notes.append(f"routing rule `{preferred.name}` holds")
        if standing.unmet:
            notes.append(f"its condition `{self.member.condition}` does not hold")
        if standing.cold:
            notes.append(f"`{provider}` is cold")
        why = word(self.ranked, ask)
        return f"{why}; {', '.join(notes)}" if notes else why


def order(
    group: Group,
    facts: Facts,
    load: Load,
    random: Random,
    preferred: MetadataRule | None = None,
    *,
    takes_turn: bool = True,
    prefix: Prefix | None = None,
) -> list[Choice]:
    """All members of ``group``: the first is asked, the others are tried in this order when it fails.

    ``takes_turn``: false when the group only stands by for another, so that nobody's turn is used up. ``prefix``: of
    the prompt, for a group that ``asks_about_the_prefix``.

    A provider that is avoided comes last whatever else holds, then the provider a metadata rule moved the request to
    comes first, then those whose condition holds, then the warm ones. Among equals the group's strategy decides.
    What ``facts`` says of saturation is filled in here, for each member in turn.
    """
    if len(group.members) == 1:
        return [Choice(Ranked(group.members[0], 0.0, 0), None)]
    if group.has_conditions:
        facts.local_saturated = _local_saturated(group, load)
    tiers: dict[Standing, list[Member]] = {}
    for member in group.members:
        tiers.setdefault(_standing(member, facts, load, preferred), []).append(member)
    ranking = RANKINGS[group.strategy]
    turns = load.turns(group)
    choices: list[Choice] = []
    for standing in sorted(tiers) if len(tiers) > 1 else tiers:
        ask = Ask(facts, load, random, turns, takes_turn and not choices, prefix, group.imbalance or Imbalance())
        reasons = _Reasons(standing, ask, ranking.word, preferred)
        for place, (member, number) in enumerate(ranking.order(tiers[standing], ask)):
            choices.append(Choice(Ranked(member, number, place), reasons))
    return choices


def rule_for(rules: Iterable[MetadataRule], group: Group, facts: Facts, load: Load) -> MetadataRule | None:
    """The first rule of the file that holds and whose provider is in ``group``."""
    facts.local_saturated = _local_saturated(group, load)
    providers = {member.provider for member in group.members}
    return next((rule for rule in rules if rule.provider in providers and _parsed(rule.condition).holds(facts)), None)


def asks_about_the_request(group: Group) -> bool:
    """Whether the prompt has to be looked at before a member can be chosen."""
    by_prompt = (Strategy.COMPLEXITY_BASED, Strategy.CONTEXT_BASED, Strategy.QUALITY_BASED)
    return group.strategy in by_prompt or group.has_conditions


def asks_about_the_prefix(group: Group) -> bool:
    """Whether a member is chosen by how the prompt begins."""
    return group.strategy is Strategy.CACHE_AWARE and len(group.members) > 1


@lru_cache(maxsize=4096)
def _parsed(condition: str) -> Condition:
    return conditions.parse(condition)


def _local_saturated(group: Group, load: Load) -> bool:
    local = {member.provider for member in group.members if load.local(member.provider)}
    return bool(local) and all(saturation(provider, load) >= group.saturation_threshold for provider in local)


def _standing(member: Member, facts: Facts, load: Load, preferred: MetadataRule | None) -> Standing:
    unmet = False
    if member.condition is not None:
        facts.saturation = saturation(member.provider, load)
        unmet = not _parsed(member.condition).holds(facts)
    return Standing(
        avoided=load.avoided(member.provider) is not None,
        moved_away=preferred is not None and member.provider != preferred.provider,
        unmet=unmet,
        cold=not load.warm(member.provider),
    )
