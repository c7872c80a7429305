"""Which member of a group answers one request, and who is tried after it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from aiops.spec import conditions
from aiops.spec.conditions import Condition, Facts
from aiops.spec.rules import Group, Member, MetadataRule, Strategy
from aiops.spec.strategies import RANKINGS, Ask, Load, Random, saturation


@dataclass(frozen=True)
class Choice:
    """``why`` it has its place, in words for people."""

    member: Member
    why: str


def order(
    group: Group,
    facts: Facts,
    load: Load,
    random: Random,
    preferred: MetadataRule | None = None,
    *,
    takes_turn: bool = True,
) -> list[Choice]:
    """All members of ``group``: the first is asked, the others are tried in this order when it fails.

    ``takes_turn``: false when the group only stands by for another, so that nobody's turn is used up.

    A provider that is avoided comes last whatever else holds, then the provider a metadata rule moved the request to
    comes first, then those whose condition holds, then the warm ones. Among equals the group's strategy decides.
    What ``facts`` says of saturation is filled in here, for each member in turn.
    """
    if len(group.members) == 1:
        return [Choice(group.members[0], "the only one")]
    facts.local_saturated = _local_saturated(group, load)
    tiers: dict[tuple[bool, ...], list[Member]] = {}
    notes: dict[str, str] = {}
    for member in group.members:
        tier, note = _standing(member, facts, load, preferred)
        tiers.setdefault(tier, []).append(member)
        if note:
            notes[member.deployment] = note
    rank = RANKINGS[group.strategy]
    turns = load.turns(group)
    choices: list[Choice] = []
    for number, tier in enumerate(sorted(tiers)):
        ranked = rank(tiers[tier], Ask(facts, load, random, turns, takes_turn and number == 0))
        choices += [
            Choice(member, f"{why}; {notes[member.deployment]}" if member.deployment in notes else why)
            for member, why in ranked
        ]
    return choices


def rule_for(rules: Iterable[MetadataRule], group: Group, facts: Facts, load: Load) -> MetadataRule | None:
    """The first rule of the file that holds and whose provider is in ``group``."""
    facts.local_saturated = _local_saturated(group, load)
    providers = {member.provider for member in group.members}
    return next((rule for rule in rules if rule.provider in providers and _parsed(rule.condition).holds(facts)), None)


def asks_about_the_request(group: Group) -> bool:
    """Whether the prompt has to be looked at before a member can be chosen."""
    by_prompt = (Strategy.COMPLEXITY_BASED, Strategy.CONTEXT_BASED, Strategy.QUALITY_BASED)
    return group.strategy in by_prompt or any(member.condition for member in group.members)


@lru_cache(maxsize=4096)
def _parsed(condition: str) -> Condition:
    return conditions.parse(condition)


def _local_saturated(group: Group, load: Load) -> bool:
    local = {member.provider for member in group.members if load.local(member.provider)}
    return bool(local) and all(saturation(provider, load) >= group.saturation_threshold for provider in local)


def _standing(member: Member, facts: Facts, load: Load, preferred: MetadataRule | None) -> tuple[tuple[bool, ...], str]:
    avoided = load.avoided(member.provider)
    moved = preferred is not None and member.provider == preferred.provider
    unmet = False
    if member.condition is not None:
        facts.saturation = saturation(member.provider, load)
        unmet = not _parsed(member.condition).holds(facts)
    cold = not load.warm(member.provider)
    notes = []
    if avoided:
        notes.append(f"`{member.provider}` is avoided: {avoided}")
    if preferred is not None and moved:
        notes.append(f"routing rule `{preferred.name}` holds")
    if unmet:
        notes.append(f"its condition `{member.condition}` does not hold")
    if cold:
        notes.append(f"`{member.provider}` is cold")
    return (avoided is not None, preferred is not None and not moved, unmet, cold), ", ".join(notes)
