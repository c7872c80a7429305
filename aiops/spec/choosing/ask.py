"""What a strategy is given, and what it gives back. Pure: what the gateway knows is asked through ``Load``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import NamedTuple, Protocol

from aiops.spec.choosing.conditions import Facts
from aiops.spec.choosing.prefix import Prefix
from aiops.spec.choosing.rules import Group, Imbalance, Member
from aiops.spec.choosing.said import Said

Random = Callable[[], float]
"""A number from 0 up to, not including, 1."""


class Known(NamedTuple):
    """Who has had of a prompt, by deployment. ``had``: how many of its parts; those that had none are left out.

    ``last``: who had the last prompt with the same home. ``homes``: of how many homes of late each had the last one.
    """

    had: Mapping[str, int]
    last: str | None
    homes: Mapping[str, int]


class Load(Protocol):
    """What is known of providers and deployments when a request comes."""

    def in_flight(self, provider: str) -> int:
        """Requests it is answering now."""

    def parallel(self, provider: str) -> int:
        """Requests it answers at the same time."""

    def local(self, provider: str) -> bool:
        """Whether it is a machine of one's own, near the gateway."""

    def asked(self, deployment: str) -> int:
        """Requests this one deployment is answering now."""

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

    def said(self, provider: str) -> Said | None:
        """What the server says of itself, not older than a few seconds. None: it says nothing."""

    def known(self, prefix: Prefix) -> Known:
        """Who has had of such prompts before."""

    def turns(self, group: Group) -> MutableMapping[str, float]:
        """What the strategies that take turns remember of a group. Theirs to write."""


class Ask(NamedTuple):
    """One request, as a strategy sees it. ``takes_turn``: not when members are only put in order. ``prefix``: of its
    prompt, None when nobody asks for it, or there is none."""

    facts: Facts
    load: Load
    random: Random
    turns: MutableMapping[str, float]
    takes_turn: bool
    prefix: Prefix | None = None
    imbalance: Imbalance = Imbalance()


class Ranked(NamedTuple):
    """One member in the order of a strategy. ``number``: what it was judged by; ``place``: from 0."""

    member: Member
    number: float
    place: int


Order = list[tuple[Member, float]]


class Ranking(NamedTuple):
    """A strategy: ``order`` is asked for each request, ``word`` says why a member has its place, for people."""

    order: Callable[[Sequence[Member], Ask], Order]
    word: Callable[[Ranked, Ask], str]


def saturation(provider: str, load: Load) -> float:
    """How full it is: 1.0 when it answers as many requests as it can at a time."""
    return load.in_flight(provider) / max(1, load.parallel(provider))


def shuffled(members: Sequence[Member], random: Random) -> list[Member]:
    """In random order; the chance to be first is the share of the weight (Efraimidis and Spirakis, 2006)."""
    if len(members) == 1:
        return list(members)
    drawn = [(member, -math.log(1.0 - random()) / member.weight) for member in members]
    drawn.sort(key=by_number)
    return [member for member, _ in drawn]


def least(members: Sequence[Member], ask: Ask, value: Callable[[Member], float]) -> Order:
    """By ``value``, least first; equals in random order by weight."""
    valued = [(member, value(member)) for member in shuffled(members, ask.random)]
    valued.sort(key=by_number)
    return valued


def by_number(pair: tuple[Member, float]) -> float:
    return pair[1]
