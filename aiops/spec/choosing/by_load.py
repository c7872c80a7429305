"""Strategies that go by how much each server has to do: ``least_loaded``, and ``cache_aware``, which weighs it against
what each server has computed already. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

from aiops.spec.choosing.ask import Ask, Load, Order, Ranked, Ranking, least
from aiops.spec.choosing.prefix import ENOUGH
from aiops.spec.choosing.rules import Imbalance, Member

_FULL = 1000.0
"""Added to the pressure on a server at which requests wait: no share of its slots that is taken outweighs that."""
_SPREAD = 1.25
"""How many times its part of all homes a server may have (consistent hashing with bounded loads, Mirrokni and others,
2016): a few conversations fall unevenly, and a cache keeps only so many."""
_TOO_BUSY = -1.0  # in the place of the share of a prompt that a server has had


class _Busy(NamedTuple):
    """``requests`` that a server has now, those included that this gateway has not sent and it tells of.

    ``pressure``: the share of its slots that they take, and ``_FULL`` where requests wait: by its own word if there is.
    """

    requests: int
    slots: int
    pressure: float


def _busy(provider: str, load: Load) -> _Busy:
    said, slots = load.said(provider), max(1, load.parallel(provider))
    requests = load.in_flight(provider) + (said.beside if said is not None else 0)
    full = said.is_full if said is not None else requests > slots
    return _Busy(requests, slots, requests / slots + (_FULL if full else 0.0))


def _least_loaded(members: Sequence[Member], ask: Ask) -> Order:
    return least(members, ask, lambda member: _busy(member.provider, ask.load).pressure)


def _slots_taken(ranked: Ranked, ask: Ask) -> str:
    provider, load = ranked.member.provider, ask.load
    busy, said = _busy(provider, load), load.said(provider)
    taken = f"{busy.requests} of {load.parallel(provider)} slots are taken"
    return taken if said is None else f"{taken}; it says: {said}"


def _cache_aware(members: Sequence[Member], ask: Ask) -> Order:
    """Whoever had most of the prompt, if that is half of it at least; then whoever had this conversation last; else the
    one that its beginning leads to, which is the same for every worker and gateway. One that is too busy to be waited
    for comes after the others."""
    load, prefix = ask.load, ask.prefix
    if prefix is None:
        return [(member, 0.0) for member, _ in _least_loaded(members, ask)]
    known, parts = load.known(prefix), len(prefix.parts)
    busy = {member.provider: _busy(member.provider, load) for member in members}
    calmest = min(busy.values(), key=lambda each: each.pressure)
    weights = sum(member.weight for member in members)
    homes = 1 + sum(known.homes.get(member.deployment, 0) for member in members)

    def placed(member: Member) -> tuple[tuple[float, ...], float]:
        """Where it comes, the least first, and the share of the prompt that it has had."""
        own, had = busy[member.provider], known.had.get(member.deployment, 0)
        if _too_busy(own, calmest, ask.imbalance):
            return (True, own.pressure), _TOO_BUSY
        share = had / parts if had and parts - had <= ENOUGH else 0.0
        full = known.homes.get(member.deployment, 0) + 1 > math.ceil(_SPREAD * homes * member.weight / weights)
        is_last = member.deployment == known.last
        return (False, -share, not is_last, full, -_draw(member, prefix.home)), share

    found = [(*placed(member), member) for member in members]
    found.sort(key=lambda each: each[0])
    return [(member, share) for _, share, member in found]


def _draw(member: Member, home: bytes) -> float:
    """Rendezvous hashing, by weight (Thaler and Ravishankar, 1998): the same for all who draw, and who leaves or comes
    moves only what was its own. The greatest wins."""
    drawn = int.from_bytes(blake2b(member.deployment.encode(), key=home, digest_size=6).digest(), "big")
    return -member.weight / math.log((drawn + 0.5) / 2**48)


def _too_busy(own: _Busy, calmest: _Busy, imbalance: Imbalance) -> bool:
    for limit in (1.0, _FULL):
        if own.pressure >= limit > calmest.pressure:
            return True  # the request would wait here, and not there
    fair = calmest.requests / calmest.slots * own.slots
    return own.requests > imbalance.factor * fair and own.requests - fair > imbalance.requests


def _why_there(ranked: Ranked, ask: Ask) -> str:
    if ask.prefix is None:
        return f"no prompt to go by; {_slots_taken(ranked, ask)}"
    if ranked.number == _TOO_BUSY:
        return f"too busy to be waited for; {_slots_taken(ranked, ask)}"
    if ranked.number:
        return f"it has had {ranked.number:.0%} of this prompt"
    if ranked.member.deployment == ask.load.known(ask.prefix).last:
        return "it had the last prompt that began like this one"
    return "it has not had this prompt" if ranked.place else "where prompts that begin like this one go"


LEAST_LOADED = Ranking(_least_loaded, _slots_taken)
CACHE_AWARE = Ranking(_cache_aware, _why_there)
