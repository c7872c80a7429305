"""What was used, as the ledger has it: one record when a request is let in, one when it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

from aiops.gateway.worker.board import TIMED_OUT
from aiops.gateway.worker.call import Call
from aiops.gateway.worker.figures import Figures
from aiops.gateway.worker.front.metering import Metering
from aiops.gateway.worker.front.reserve import Reservation
from aiops.gateway.worker.prices import Prices, Tokens
from aiops.state import money
from aiops.state.shapes import Identity
from aiops.state.usage.record import Outcome, Usage
from aiops.state.usage.spool import Accepted

IDEMPOTENCY_KEY = b"idempotency-key"
LONGEST = 256  # characters of what a client chose: a name of a model, an end user


def plain_text(said: str) -> str:
    """What a client chose, as every database can keep it: no half of a surrogate pair, and no NUL."""
    return _plain(said[:LONGEST])


@lru_cache(1024)  # the same few models and paths
def _plain(said: str) -> str:
    return said.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


class Spool(Protocol):
    """None of them raises, or waits."""

    def accepted(self, request: Accepted) -> None: ...

    def ending(self, usage: Usage) -> None: ...

    def ended(self, usage: Usage) -> None: ...

    def passed_on(self, request: Accepted) -> None: ...


@dataclass(frozen=True)
class Spent:
    """``cost``: nano-dollars; None: nobody knows the price."""

    tokens: Tokens
    cost: int | None
    estimated: bool


class Account:
    """One per worker. ``replica``: the host's name in the ledger. ``figures``: what is counted for ``/metrics``."""

    def __init__(
        self,
        spool: Spool,
        book: Prices,
        generation: int,
        replica: str,
        clock: Callable[[], float] = time.time,
        figures: Figures | None = None,
    ) -> None:
        self._spool = spool
        self._book = book
        self._generation = generation
        self._replica = replica
        self._clock = clock
        self._figures = figures

    def accept(
        self, given: Reservation, identity: Identity, path: str, idempotency_key: str | None, now: float
    ) -> Accepted:
        """To be said before anybody answers it. ``now``: by which it was reserved, so that its row is of the windows
        that it is counted in."""
        accepted = Accepted(
            id=given.id,
            key=identity.id,
            team=identity.team,
            user=identity.user,
            model=plain_text(given.asked.model),
            path=plain_text(path),
            started=int(now * 1e6),
            generation=self._generation,
            replica=self._replica,
            end_user=None if given.asked.end_user is None else plain_text(given.asked.end_user),
            stream=given.asked.stream,
            tags=identity.tags,
            idempotency_key=idempotency_key,
        )
        self._spool.accepted(accepted)
        if self._figures is not None:
            self._figures.let_in()
        return accepted

    def spent(self, given: Reservation, metering: Metering, call: Call | None, written: int = 0) -> Spent:
        """What a request used that has ended, or was left. ``written``: tokens that a provider usually has written by
        now."""
        if given.is_opened:
            return _as_said(metering)
        was_asked = call is None or bool(call.provider)
        failed = metering.status >= 400
        gave_up = failed and call is not None and call.impatient and call.failure == TIMED_OUT
        if metering.cached or given.asked.counts_only or (failed and not gave_up) or not was_asked:
            return Spent(Tokens(), 0, estimated=False)
        if gave_up or not metering.status:  # left before anything was said, and somebody worked for it
            tokens = Tokens(max(1, given.estimated.prompt), min(written, given.estimated.completion))
            return Spent(tokens, self._cost(given, tokens, call), estimated=True)
        tokens = metering.tokens(given.estimated.prompt)
        estimated = metering.estimated
        if estimated and metering.cost is not None:  # of a picture, or a voice: no tokens, but LiteLLM knows
            return Spent(tokens, metering.cost, estimated=False)
        return Spent(tokens, self._cost(given, tokens, call), estimated)

    def pass_on(self, accepted: Accepted) -> None:
        """Another worker accounts for it."""
        self._spool.passed_on(accepted)
        if self._figures is not None:
            self._figures.passed_on()

    def ending(self, usage: Usage) -> None:
        """To be said before it is settled."""
        self._spool.ending(usage)

    def ended(self, usage: Usage, epoch: str) -> None:
        """``epoch``: in which counters it is settled."""
        self._spool.ended(usage if usage.epoch == epoch else replace(usage, epoch=epoch))
        if self._figures is not None:
            self._figures.ended(usage.outcome, usage.status)

    def usage(
        self,
        accepted: Accepted,
        given: Reservation,
        spent: Spent,
        metering: Metering,
        outcome: Outcome,
        call: Call | None,
        *,
        first: float | None,
    ) -> Usage:
        """What the ledger is to have of it. ``first``: seconds until the first piece of the answer."""
        deployment = self._book.deployment(call.deployment) if call is not None else None
        asked = (call.passed or call.name) if call is not None else ""
        return Usage(
            **vars(accepted),
            provider=call.provider if call is not None else "",
            served=(deployment.model or asked)[:LONGEST] if deployment is not None else "",
            seconds=max(0.0, self._clock() - accepted.started / 1e6),
            first=first,
            status=metering.status,
            outcome=outcome,
            prompt_tokens=spent.tokens.prompt,
            completion_tokens=spent.tokens.completion,
            cached_tokens=spent.tokens.cached,
            cost=spent.cost,
            estimated=spent.estimated,
            epoch=given.settles,
        )

    def _cost(self, given: Reservation, tokens: Tokens, call: Call | None) -> int | None:
        deployment = self._book.deployment(call.deployment) if call is not None else None
        name = (call.passed or call.name) if call is not None else given.asked.model
        found = [self._book.of(one, name) for one in ((deployment,) if deployment else given.deployments)]
        costs = [None if price is None else price.cost(tokens) for price in found]
        known = [cost for cost in costs if cost is not None]
        return min(max(known), money.MOST) if known else None


def _as_said(metering: Metering) -> Spent:
    """Of a request of which nothing is known but its answer."""
    tokens = Tokens() if metering.estimated else metering.tokens(0)
    if metering.cost is not None:
        return Spent(tokens, metering.cost, estimated=False)
    return Spent(tokens, None if tokens.total else 0, estimated=False)
