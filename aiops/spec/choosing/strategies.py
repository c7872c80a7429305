"""The strategies: how the members of a group are put in order, one small function for each. docs/routing.md says what
they do for people. Pure: what the gateway knows is asked through ``Load``, chance comes as an argument.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from aiops.spec.choosing import by_load
from aiops.spec.choosing.ask import Ask, Order, Ranked, Ranking, by_number, least, saturation, shuffled
from aiops.spec.choosing.rules import Group, Member, Strategy


def _simple_shuffle(members: Sequence[Member], ask: Ask) -> Order:
    total = sum(member.weight for member in members)
    return [(member, member.weight / total) for member in shuffled(members, ask.random)]


def _share(ranked: Ranked, ask: Ask) -> str:
    return f"drawn by weight, {ranked.number:.0%}"


def _round_robin(members: Sequence[Member], ask: Ask) -> Order:
    turns = ask.turns
    waiting = [(member, turns.get(member.deployment, 0.0)) for member in members]
    waiting.sort(key=by_number)
    if ask.takes_turn:
        # The number of its last turn, so that one who comes back from a pause gets one turn and not all it missed.
        turns[waiting[0][0].deployment] = max(turns.values(), default=0.0) + 1.0
    return waiting


def _turn(ranked: Ranked, ask: Ask) -> str:
    return "next turns" if ranked.place else "waits the longest for its turn"


def _weighted_round_robin(members: Sequence[Member], ask: Ask) -> Order:
    """Smooth: of weights 5, 1, 1 come a a b a c a a and not a a a a a b c (nginx, 2012)."""
    turns = ask.turns
    due = {member.deployment: turns.get(member.deployment, 0.0) + member.weight for member in members}
    ranked = sorted(members, key=lambda member: -due[member.deployment])
    if ask.takes_turn:
        turns.update(due)
        turns[ranked[0].deployment] -= sum(member.weight for member in members)
    return [(member, member.weight) for member in ranked]


def _weighted_turn(ranked: Ranked, ask: Ask) -> str:
    return f"turns by weight {ranked.number:g}"


def _least_busy(members: Sequence[Member], ask: Ask) -> Order:
    return least(members, ask, lambda member: ask.load.asked(member.deployment))


def _asked(ranked: Ranked, ask: Ask) -> str:
    return f"{int(ranked.number)} requests are being answered"


def _most_capacity(members: Sequence[Member], ask: Ask) -> Order:
    load = ask.load
    return least(members, ask, lambda member: load.in_flight(member.provider) - load.parallel(member.provider))


def _slots_free(ranked: Ranked, ask: Ask) -> str:
    return f"{max(0, -int(ranked.number))} slots are free"


_TRY_IT = -1.0  # before every known speed


def _fastest_response(members: Sequence[Member], ask: Ask) -> Order:
    """One whose speed is not known is tried, by one request at a time: a slow one must not get all until that shows."""

    def seconds(member: Member) -> float:
        known = ask.load.latency(member.deployment)
        if known is None:
            return math.inf if ask.load.asked(member.deployment) else _TRY_IT
        return known

    return least(members, ask, seconds)


def _speed(ranked: Ranked, ask: Ask) -> str:
    if ranked.number == _TRY_IT:
        return "its speed is not known yet"
    return "it failed lately, or is being tried" if ranked.number == math.inf else f"answers in {ranked.number:.3f} s"


def _usage_based(members: Sequence[Member], ask: Ask) -> Order:
    return least(members, ask, lambda member: ask.load.tokens_this_minute(member.deployment))


def _usage(ranked: Ranked, ask: Ask) -> str:
    return f"{ranked.number:.0f} tokens this minute"


def _direct(members: Sequence[Member], ask: Ask) -> Order:
    return [(member, 0.0) for member in members]


def _as_written(ranked: Ranked, ask: Ask) -> str:
    return "in the order written"


def _by_tokens(members: Sequence[Member], ask: Ask) -> Order:
    """The member meant for a prompt of this length, then those for longer ones, then those for shorter ones."""
    tokens = ask.facts.tokens
    meant = [member.above for member in members if member.above == 0 or tokens > member.above]
    level = max(meant, default=min(member.above for member in members))
    enough = [member for member in members if member.above >= level]
    too_short = [member for member in members if member.above < level]
    return least(enough, ask, lambda member: member.above) + least(too_short, ask, lambda member: -member.above)


def _meant_for(ranked: Ranked, ask: Ask) -> str:
    above = ranked.member.above
    return f"meant for {f'above {above} tokens' if above else 'any prompt'}, this has {ask.facts.tokens}"


def _quality_based(members: Sequence[Member], ask: Ask) -> Order:
    sign = -1.0 if ask.facts.quality_tier == "high" else 1.0
    return least(members, ask, lambda member: math.inf if member.size is None else sign * member.size)


def _quality(ranked: Ranked, ask: Ask) -> str:
    size, tier = ranked.member.size, ask.facts.quality_tier
    shown = "unknown size" if size is None else f"{size:g}B"
    return f"{shown}, {'largest' if tier == 'high' else 'smallest'} first for quality `{tier}`"


def _adaptive_weighted(members: Sequence[Member], ask: Ask) -> Order:
    scores = {}
    for member in members:
        # Never 0: one that failed must be asked now and then, or nobody learns that it works again.
        success = max(0.01, ask.load.success_rate(member.deployment))
        scores[member.deployment] = member.weight * success / (1.0 + saturation(member.provider, ask.load))
    total = sum(scores.values())
    drawn = [(-math.log(1.0 - ask.random()) / scores[member.deployment], member) for member in members]
    drawn.sort(key=lambda pair: pair[0])
    return [(member, scores[member.deployment] / total) for _, member in drawn]


def _adapted_share(ranked: Ranked, ask: Ask) -> str:
    return f"drawn by weight, success and load, {ranked.number:.0%}"


def _cost_based(members: Sequence[Member], ask: Ask) -> Order:
    return least(members, ask, lambda member: member.cost)


def _cost(ranked: Ranked, ask: Ask) -> str:
    return f"${ranked.number:g} per 1,000 tokens" if ranked.number else "costs nothing"


RANKINGS: dict[Strategy, Ranking] = {
    Strategy.SIMPLE_SHUFFLE: Ranking(_simple_shuffle, _share),
    Strategy.ROUND_ROBIN: Ranking(_round_robin, _turn),
    Strategy.WEIGHTED_ROUND_ROBIN: Ranking(_weighted_round_robin, _weighted_turn),
    Strategy.LEAST_LOADED: by_load.LEAST_LOADED,
    Strategy.CACHE_AWARE: by_load.CACHE_AWARE,
    Strategy.LEAST_BUSY: Ranking(_least_busy, _asked),
    Strategy.FASTEST_RESPONSE: Ranking(_fastest_response, _speed),
    Strategy.USAGE_BASED: Ranking(_usage_based, _usage),
    Strategy.MOST_CAPACITY: Ranking(_most_capacity, _slots_free),
    Strategy.DIRECT: Ranking(_direct, _as_written),
    Strategy.COMPLEXITY_BASED: Ranking(_by_tokens, _meant_for),
    Strategy.CONTEXT_BASED: Ranking(_by_tokens, _meant_for),
    Strategy.QUALITY_BASED: Ranking(_quality_based, _quality),
    Strategy.ADAPTIVE_WEIGHTED: Ranking(_adaptive_weighted, _adapted_share),
    Strategy.COST_BASED: Ranking(_cost_based, _cost),
}
"""Every strategy there is; a test compares it with the names that are accepted."""

_PERIOD = 100  # weights are mostly percents: then it is where they are again
_TAKE_TURNS = (Strategy.ROUND_ROBIN, Strategy.WEIGHTED_ROUND_ROBIN)


def turns(group: Group, taken: int) -> dict[str, float]:
    """As if so many turns were taken: several who begin together do not all begin with the same member."""
    begun: dict[str, float] = {}
    if group.strategy in _TAKE_TURNS:
        nobody: Any = None  # they ask for nothing but the turns
        for _ in range(taken % _PERIOD):
            RANKINGS[group.strategy].order(group.members, Ask(nobody, nobody, nobody, begun, takes_turn=True))
    return begun
