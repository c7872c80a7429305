"""What a worker knows of its providers: who is busy, who is fast, who is to be avoided. In memory only.

Written by the request path (``Call``), read by the strategies. How many requests a provider is answering, and until
when it is avoided, is shared by all workers of the generation at once. Who is avoided, how fast each is and who failed
is told to all others within a second or so, see ``telling``; the rest is each worker's own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, MutableMapping

from aiops.gateway.shared.sightings import FAILED_SECONDS, Avoided, Measured, Sightings
from aiops.gateway.worker.affinity import Affinity
from aiops.gateway.worker.call import IN_FLIGHT, Call, State
from aiops.gateway.worker.elsewhere import Elsewhere
from aiops.gateway.worker.hearsay import Hearsay
from aiops.gateway.worker.homes import Homes
from aiops.gateway.worker.latency import Latency
from aiops.gateway.worker.minutes import Minutes, Served, Tally
from aiops.gateway.worker.slots import AVOIDED_UNTIL, REASON, Slots
from aiops.gateway.worker.slots import IN_FLIGHT as NUMBER_IN_FLIGHT
from aiops.spec.choosing.ask import Known
from aiops.spec.choosing.prefix import Prefix
from aiops.spec.choosing.rules import Group, ProviderFacts, RoutingTable, Strategy
from aiops.spec.choosing.said import Said
from aiops.spec.choosing.strategies import turns

WARM_SECONDS = 300.0  # a provider that answered within this time is warm
REASONS = ("", "it limits requests", "it failed too often in a row")
_LIMITS, _FAILS = 1, 2
BROKE_OFF, TIMED_OUT = "broke off", "timed out"
UNKNOWN = ProviderFacts(parallel=1, local=False)
# The caller's own mistakes say nothing of the provider. 499: the caller left.
CALLERS_FAULT = frozenset({400, 413, 415, 422, 499})
LIMITED = 429


class Board:
    """One per worker; ``worker`` is its row in ``slots``. ``taken``: how many turns it begins after. Implements
    ``choose.Load``."""

    def __init__(
        self,
        table: RoutingTable,
        slots: Slots,
        worker: int = 0,
        clock: Callable[[], float] = time.monotonic,
        taken: int = 0,
    ) -> None:
        self.table = table
        self.minutes = Minutes()
        self.errors: dict[str, int] = {}  # of a provider, in a row
        self.routing_errors = 0
        self.deployments: frozenset[str] = frozenset()  # every id, none of which a caller is shown
        self.may_avoid = table.special.rate_limited is not None or table.special.error_threshold is not None
        by_speed = [group for group in table.groups() if group.strategy is Strategy.FASTEST_RESPONSE]
        self.shares = self.may_avoid or bool(by_speed)
        """Whether anybody here is chosen by what others may have seen."""
        provider_of = {member.deployment: member.provider for group in by_speed for member in group.members}
        self.elsewhere = Elsewhere(clock, provider_of)
        self.noticed: Callable[[], None] | None = None
        """Told when a provider begins to be avoided."""
        self.freed: Callable[[str, float | None], None] | None = None
        """Told which provider is done with a request, and how many seconds it took; None: it was called off."""
        self._clock = clock
        self._slots = slots
        self._worker = worker
        self._taken = taken
        self._place = {name: place for place, name in enumerate(table.providers)}
        told = {name: self._place[name] for name, facts in table.providers.items() if facts.figures is not None}
        self.hearsay = Hearsay(slots, worker, told, clock)
        kept = (group for group in table.groups() if group.strategy is Strategy.CACHE_AWARE)
        may_keep = (member.deployment for group in kept for member in group.members)
        self._affinity = Affinity(Homes(slots.homes, may_keep, clock))
        self._mine = dict.fromkeys(table.providers, 0)
        self._asked: dict[str, int] = {}  # by deployment
        self._latency: dict[str, Latency] = {}
        self._last_failure: dict[str, float] = {}
        self._failed_at: dict[str, float] = {}  # by provider, of those in ``errors``
        self._avoided_since: dict[str, float] = {}
        self._turns: dict[tuple[str, str], dict[str, float]] = {}
        self._by_name: dict[str, int] = {}
        self._last_success: dict[str, float] = {}
        self._healthy: dict[str, bool] = {}
        slots.clear(worker)

    # --- the request path ---------------------------------------------------------------------------------------

    def begin(self, call: Call, deployment: str, provider: str) -> None:
        """A deployment is asked for ``call``. LiteLLM wraps some calls in others: the same one again is the same."""
        if call.state is State.WORKING and call.deployment == deployment:
            return
        if call.in_flight:
            # LiteLLM says nothing when a stream breaks that it had opened; it goes on to the next one.
            self.failed(call, None, BROKE_OFF)
        is_first = not call.provider
        if not call.ask(deployment, provider, self._clock()):
            return
        if is_first:
            self._by_name[call.name] = self._by_name.get(call.name, 0) + 1
        self._count(call, 1)
        if call.prefix is not None:
            self._affinity.learn(call.prefix, deployment)

    def answered(self, call: Call) -> None:
        """The answer, or its first piece, has come."""
        if not call.answer():
            return
        now = self._clock()
        self._latency.setdefault(call.deployment, Latency()).add(now - call.began, now)
        self._last_success[call.provider] = now

    def failed(self, call: Call, status: int | None, failure: str) -> None:
        """The deployment that was asked did not answer, or broke off. ``status``: HTTP, None for none at all."""
        if not call.fail(failure):
            return
        self._count(call, -1)
        if status in CALLERS_FAULT or (call.impatient and failure in (TIMED_OUT, BROKE_OFF)):
            return
        now = self._clock()
        if call.prefix is not None:
            self._affinity.forget(call.prefix, call.deployment)
        self._last_failure[call.deployment] = now
        self.minutes.ended(now, call.deployment, well=False)
        if call.proof:
            return  # who has it proved is told; users have not noticed
        self._tally(call, now).failed += 1
        if status == LIMITED:
            self._avoid(call.provider, self.table.special.rate_limited, _LIMITS)
            return
        self.errors[call.provider] = self.errors.get(call.provider, 0) + 1
        self._failed_at[call.provider] = now
        special = self.table.special
        if special.error_threshold is not None and self.errors[call.provider] >= special.error_threshold:
            self._avoid(call.provider, special.cooldown, _FAILS)

    def over(self, call: Call) -> None:
        """The request has ended, in whatever way. Whoever was answering it to the end has succeeded."""
        ended = call.end()
        if ended is None:
            return
        if ended is State.ANSWERING:
            now = self._clock()
            self.errors.pop(call.provider, None)
            self._last_failure.pop(call.deployment, None)
            self.minutes.ended(now, call.deployment, well=True)
            if not call.proof:
                self._tally(call, now).answered += 1
        if ended in IN_FLIGHT:
            self._count(call, -1, called_off=ended is State.WORKING)
        if call.provider:
            left = self._by_name[call.name] - 1
            if left:
                self._by_name[call.name] = left
            else:
                del self._by_name[call.name]

    def all_served(self) -> dict[Served, Tally]:
        return self.minutes.all_served(self._clock())

    def served_by_minute(self) -> Iterator[tuple[float, dict[Served, Tally]]]:
        """With how many seconds ago each minute began."""
        now = self._clock()
        return ((now - began, served) for began, served in self.minutes.each(now))

    def used(self, deployment: str, tokens: int) -> None:
        """Tokens of one answer, its prompt included."""
        self.minutes.deployment(self._clock(), deployment).tokens += tokens

    def _count(self, call: Call, change: int, *, called_off: bool = False) -> None:
        provider, deployment = call.provider, call.deployment
        self._asked[deployment] = self._asked.get(deployment, 0) + change
        number = self._mine[provider] = self._mine.get(provider, 0) + change
        place = self._place.get(provider)
        if place is not None:
            self._slots.put(self._worker, place, NUMBER_IN_FLIGHT, number)
        if change < 0 and self.freed is not None:
            self.freed(provider, None if called_off else self._clock() - call.began)

    def _avoid(self, provider: str, seconds: float | None, reason: int) -> None:
        if seconds is None or provider not in self._place:
            return
        place = self._place[provider]
        self._slots.put(self._worker, place, REASON, reason)
        self._avoided_since[provider] = now = self._clock()
        self._slots.put(self._worker, place, AVOIDED_UNTIL, now + seconds)
        if self.noticed is not None:
            self.noticed()

    def _tally(self, call: Call, now: float) -> Tally:
        rule = "" if call.rule is None else call.rule.decode("latin-1")
        failure = call.failure if call.fell_from or call.state is State.FAILED else ""
        return self.minutes.served(now, Served(call.name, call.provider, rule, call.fell_from, failure))

    # --- what the strategies ask --------------------------------------------------------------------------------

    def in_flight(self, provider: str) -> int:
        place = self._place.get(provider)
        return self._mine.get(provider, 0) if place is None else int(self._slots.total(place, NUMBER_IN_FLIGHT))

    def parallel(self, provider: str) -> int:
        return self.table.providers.get(provider, UNKNOWN).parallel

    def local(self, provider: str) -> bool:
        return self.table.providers.get(provider, UNKNOWN).local

    def asked(self, deployment: str) -> int:
        return self._asked.get(deployment, 0)

    def latency(self, deployment: str) -> float | None:
        """By whoever measured last. It failed if nobody was answered by it since."""
        now, own, other = self._clock(), self._latency.get(deployment), self.elsewhere.measured(deployment)
        if now - self._last_failure.get(deployment, -math.inf) < FAILED_SECONDS:
            return math.inf
        known = None if own is None else own.known(now)
        latest = -math.inf if own is None else own.measured
        if other is not None and other.when > latest:
            known, latest = other.known(now), other.when
        failed = self.elsewhere.failed(deployment)
        return math.inf if failed > latest and now - failed < FAILED_SECONDS else known

    def tokens_this_minute(self, deployment: str) -> int:
        return self.minutes.tokens_this_minute(self._clock(), deployment)

    def success_rate(self, deployment: str) -> float:
        return self.minutes.success_rate(self._clock(), deployment)

    def avoided(self, provider: str) -> str | None:
        place = self._place.get(provider)
        if place is None or not self.may_avoid:
            return None
        until, worker = self._slots.latest(place, AVOIDED_UNTIL)
        if until > self._clock():
            return REASONS[int(self._slots.get(worker, place, REASON))]
        left, reason = self.elsewhere.avoided(provider)
        return REASONS[reason] if left and reason < len(REASONS) else None

    def avoided_for(self, provider: str) -> float:
        """Seconds from now; 0 when it is not avoided."""
        place = self._place.get(provider)
        if place is None:
            return 0.0
        return max(self._slots.latest(place, AVOIDED_UNTIL)[0] - self._clock(), self.elsewhere.avoided(provider)[0])

    def failed_ago(self, provider: str) -> float | None:
        """Seconds since the last of its errors in a row; None when it answered since, or never failed."""
        return self._clock() - self._failed_at[provider] if provider in self.errors else None

    def warm(self, provider: str) -> bool:
        if self.table.special.warm_check is None or self.table.providers.get(provider, UNKNOWN).health_url is None:
            return True
        return self.answered_lately(provider) or self._healthy.get(provider, False)

    def said(self, provider: str) -> Said | None:
        return self.hearsay.said(provider)

    def known(self, prefix: Prefix) -> Known:
        return self._affinity.known(prefix)

    def turns(self, group: Group) -> MutableMapping[str, float]:
        found = self._turns.get((group.kind, group.name))
        if found is None:
            found = self._turns[group.kind, group.name] = turns(group, self._taken)
        return found

    # --- what others are told -----------------------------------------------------------------------------------

    def sightings(self) -> Sightings:
        """What this worker has seen itself, and others may be glad to know."""
        now, place, called = self._clock(), self.elsewhere.place, self.elsewhere.called
        avoided = {}
        for provider, since in self._avoided_since.items():
            slot, name = self._place[provider], place(provider)
            left = self._slots.get(self._worker, slot, AVOIDED_UNTIL) - now
            if name is not None and left > 0:
                avoided[name] = Avoided(int(self._slots.get(self._worker, slot, REASON)), left, now - since)
        measured = {}
        for deployment, latency in self._latency.items():
            name, seconds = called(deployment), latency.known(now)
            if name is not None and seconds is not None:
                measured[name] = Measured(seconds, now - latency.measured)
        failed = {}
        for deployment, when in self._last_failure.items():
            name = called(deployment)
            if name is not None and now - when < FAILED_SECONDS:
                failed[name] = now - when
        return Sightings(avoided, measured, failed)

    # --- what conditions and the warm check ask -----------------------------------------------------------------

    def answered_lately(self, provider: str) -> bool:
        last = self._last_success.get(provider)
        return last is not None and self._clock() - last < WARM_SECONDS

    def healthy(self, provider: str, is_healthy: bool) -> None:
        """What its health endpoint said, in time."""
        self._healthy[provider] = is_healthy

    def request_count(self, name: str) -> int:
        """Requests for ``name`` that this worker answers now, one that has just come included."""
        return self._by_name.get(name, 0) + 1
