"""The strategies: how the members of a group are put in order, one small function for each. docs/routing.md says what
they do for people. Pure: what the gateway knows is asked through ``Load``, chance comes as an argument.
"""

from __future__ import annotations

import math
from collections.abc import Callable, MutableMapping, Sequence
from typing import NamedTuple, Protocol

from aiops.spec.conditions import Facts
from aiops.spec.rules import Group, Member, Strategy

Random = Callable[[], float]
"""A number from 0 up to, not including, 1."""


class Load(Protocol):
    """What is known of providers and deployments when a request comes."""

    def in_flight(self, provider: str) -> int:
        """Requests it is answering now."""

    def parallel(self, provider: str) -> int:
        """Requests it answers at the same time."""

    def local(self, provider: str) -> bool:
        """Whether it is a machine of one's own, near the gateway."""

    def latency(self, deployment: str) -> float | None:
        """Seconds to the first token (streams) or to the answer, smoothed. None: not known; inf: it failed lately."""

    def tokens_this_minute(self, deployment: str) -> int:
        """Tokens of prompts and answers."""

    def success_rate(self, deployment: str) -> float:
        """From 0 to 1, of the last minutes; 1 when there was no request."""

    def avoided(self, provider: str) -> str | None:
        """Why it is only asked when nobody else can answer: it limits, or it failed too often. None: it is not."""

    def warm(self, provider: str) -> bool:
        """Whether it has answered lately."""

    def turns(self, group: Group) -> MutableMapping[str, float]:
        """What the strategies that take turns remember of a group. Theirs to write."""


class Ask(NamedTuple):
    """One request, as a strategy sees it. ``takes_turn``: not when members are only put in order."""

    facts: Facts
    load: Load
    random: Random
    turns: MutableMapping[str, float]
    takes_turn: bool


Ranked = list[tuple[Member, str]]


def saturation(provider: str, load: Load) -> float:
    """How full it is: 1.0 when it answers as many requests as it can at a time."""
    return load.in_flight(provider) / max(1, load.parallel(provider))


def _shuffled(members: Sequence[Member], random: Random) -> list[Member]:
    """In random order; the chance to be first is the share of the weight (Efraimidis and Spirakis, 2006)."""
    drawn = [(-math.log(1.0 - random()) / member.weight, member) for member in members]
    drawn.sort(key=lambda pair: pair[0])
    return [member for _, member in drawn]


def _least(
    members: Sequence[Member], ask: Ask, value: Callable[[Member], float], word: Callable[[Member, float], str]
) -> Ranked:
    """By ``value``, least first; equals in random order by weight."""
    valued = [(value(member), member) for member in _shuffled(members, ask.random)]
    valued.sort(key=lambda pair: pair[0])
    return [(member, word(member, number)) for number, member in valued]


def _simple_shuffle(members: Sequence[Member], ask: Ask) -> Ranked:
    total = sum(member.weight for member in members)
    return [(member, f"drawn by weight, {member.weight / total:.0%}") for member in _shuffled(members, ask.random)]


def _round_robin(members: Sequence[Member], ask: Ask) -> Ranked:
    turns = ask.turns
    waiting = sorted(members, key=lambda member: turns.get(member.deployment, 0.0))
    if ask.takes_turn:
        # The number of its last turn, so that one who comes back from a pause gets one turn and not all it missed.
        turns[waiting[0].deployment] = max(turns.values(), default=0.0) + 1.0
    return [(member, "waits the longest for its turn" if member is waiting[0] else "next turns") for member in waiting]


def _weighted_round_robin(members: Sequence[Member], ask: Ask) -> Ranked:
    """Smooth: of weights 5, 1, 1 come a a b a c a a and not a a a a a b c (nginx, 2012)."""
    turns = ask.turns
    due = {member.deployment: turns.get(member.deployment, 0.0) + member.weight for member in members}
    ranked = sorted(members, key=lambda member: -due[member.deployment])
    if ask.takes_turn:
        turns.update(due)
        turns[ranked[0].deployment] -= sum(member.weight for member in members)
    return [(member, f"turns by weight {member.weight:g}") for member in ranked]


def _least_loaded(members: Sequence[Member], ask: Ask) -> Ranked:
    def word(member: Member, _: float) -> str:
        return f"{ask.load.in_flight(member.provider)} of {ask.load.parallel(member.provider)} slots are taken"

    return _least(members, ask, lambda member: saturation(member.provider, ask.load), word)


def _most_capacity(members: Sequence[Member], ask: Ask) -> Ranked:
    def taken(member: Member) -> float:
        return ask.load.in_flight(member.provider) - ask.load.parallel(member.provider)

    return _least(members, ask, taken, lambda member, number: f"{max(0, -int(number))} slots are free")


def _fastest_response(members: Sequence[Member], ask: Ask) -> Ranked:
    def seconds(member: Member) -> float:
        known = ask.load.latency(member.deployment)
        return -1.0 if known is None else known

    def word(member: Member, number: float) -> str:
        if number < 0:
            return "its speed is not known yet"
        return "it failed lately" if number == math.inf else f"answers in {number:.3f} s"

    return _least(members, ask, seconds, word)


def _usage_based(members: Sequence[Member], ask: Ask) -> Ranked:
    def tokens(member: Member) -> float:
        return ask.load.tokens_this_minute(member.deployment)

    return _least(members, ask, tokens, lambda member, number: f"{number:.0f} tokens this minute")


def _direct(members: Sequence[Member], ask: Ask) -> Ranked:
    return [(member, "in the order written") for member in members]


def _by_tokens(members: Sequence[Member], ask: Ask) -> Ranked:
    """The member meant for a prompt of this length, then those for longer ones, then those for shorter ones."""
    tokens = ask.facts.tokens
    meant = [member.at_least for member in members if member.at_least == 0 or tokens > member.at_least]
    level = max(meant, default=min(member.at_least for member in members))

    def distance(member: Member) -> float:
        return member.at_least - level if member.at_least >= level else math.inf

    def word(member: Member, number: float) -> str:
        limit = f"above {member.at_least} tokens" if member.at_least else "any prompt"
        return f"meant for {limit}, this has {tokens}"

    ranked = _least([member for member in members if member.at_least >= level], ask, distance, word)
    return ranked + _least(
        [member for member in members if member.at_least < level], ask, lambda member: -member.at_least, word
    )


def _quality_based(members: Sequence[Member], ask: Ask) -> Ranked:
    high = ask.facts.quality_tier == "high"

    def size(member: Member) -> float:
        if member.size is None:
            return math.inf
        return -member.size if high else member.size

    def word(member: Member, _: float) -> str:
        shown = "unknown size" if member.size is None else f"{member.size:g}B"
        return f"{shown}, {'largest' if high else 'smallest'} first for quality `{ask.facts.quality_tier}`"

    return _least(members, ask, size, word)


def _adaptive_weighted(members: Sequence[Member], ask: Ask) -> Ranked:
    scores = {}
    for member in members:
        # Never 0: one that failed must be asked now and then, or nobody learns that it works again.
        success = max(0.01, ask.load.success_rate(member.deployment))
        scores[member.deployment] = member.weight * success / (1.0 + saturation(member.provider, ask.load))
    total = sum(scores.values())
    drawn = [(-math.log(1.0 - ask.random()) / scores[member.deployment], member) for member in members]
    drawn.sort(key=lambda pair: pair[0])
    return [
        (member, f"drawn by weight, success and load, {scores[member.deployment] / total:.0%}") for _, member in drawn
    ]


def _cost_based(members: Sequence[Member], ask: Ask) -> Ranked:
    def word(member: Member, number: float) -> str:
        return f"${number:g} per 1,000 tokens" if number else "costs nothing"

    return _least(members, ask, lambda member: member.cost, word)


RANKINGS: dict[Strategy, Callable[[Sequence[Member], Ask], Ranked]] = {
    Strategy.SIMPLE_SHUFFLE: _simple_shuffle,
    Strategy.ROUND_ROBIN: _round_robin,
    Strategy.WEIGHTED_ROUND_ROBIN: _weighted_round_robin,
    Strategy.LEAST_LOADED: _least_loaded,
    Strategy.FASTEST_RESPONSE: _fastest_response,
    Strategy.USAGE_BASED: _usage_based,
    Strategy.MOST_CAPACITY: _most_capacity,
    Strategy.DIRECT: _direct,
    Strategy.COMPLEXITY_BASED: _by_tokens,
    Strategy.CONTEXT_BASED: _by_tokens,
    Strategy.QUALITY_BASED: _quality_based,
    Strategy.ADAPTIVE_WEIGHTED: _adaptive_weighted,
    Strategy.COST_BASED: _cost_based,
}
"""Every strategy there is; a test compares it with the names that are accepted."""
