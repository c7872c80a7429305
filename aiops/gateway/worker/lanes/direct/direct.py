"""One after another is asked, until one answers; what is left when the next one cannot be asked here."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Sequence
from typing import Final

from aiops.gateway.worker.front import refusals
from aiops.gateway.worker.lanes.direct import answer
from aiops.gateway.worker.lanes.direct.attempt import Attempts, Request
from aiops.gateway.worker.lanes.direct.failed import Failed, Kind
from aiops.gateway.worker.lanes.plan import Planner, Target
from aiops.gateway.worker.reply import wait_of
from aiops.spec.lanes.table import Retries
from aiops.state.rules import Refusal

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 8.0
LONGEST_WAIT: Final = 60.0  # that a provider may ask for before it is asked again
"""Seconds, as LiteLLM's."""


class Direct:
    """One per worker."""

    def __init__(self, attempts: Attempts, planner: Planner, chance: Callable[[], float] = random.random) -> None:
        self._attempts = attempts
        self._planner = planner
        self._random = chance

    async def answer(self, request: Request, targets: Sequence[Target]) -> tuple[Sequence[Target], Failed | None]:
        """Who has to be asked by LiteLLM, and after whose failure; nobody when it has been answered."""
        first: Failed | None = None
        left = targets
        tried: set[str] = set()
        while left:
            target, left = left[0], left[1:]
            if not target.is_direct(request.path):
                return (target, *left), first
            tried.add(target.name)
            failure = await self._again_and_again(request, target, alone=not left)
            if failure is None:
                return (), None
            first = first or failure
            instead = self._planner.instead(request, target, failure)
            if instead is not None:
                left = [each for each in instead if each.name not in tried]  # two may name each other
        if first is not None:
            await refuse(request, first)
        return (), None

    async def _again_and_again(self, request: Request, target: Target, *, alone: bool) -> Failed | None:
        """As often as is written for failures of this kind."""
        assert target.asking is not None
        for retries in range(1000):
            failure = await self._attempts.ask(request, target.asking, target.shown(request.call), retries)
            if failure is None or retries >= _retries(target.retries, failure.kind):
                return failure
            if alone:
                await asyncio.sleep(self._pause(failure, retries))
        return failure

    def _pause(self, failure: Failed, retries: int) -> float:
        if failure.wait is not None and failure.wait.isdigit() and 0 < int(failure.wait) <= LONGEST_WAIT:
            return float(failure.wait)
        pause: float = min(FIRST_PAUSE * 2**retries, LONGEST_PAUSE)
        return pause * (1 + 0.75 * self._random())


def _retries(written: Retries, kind: Kind) -> int:
    return {
        Kind.NO_CONNECTION: written.no_connection,
        Kind.UNAVAILABLE: written.unavailable,
        Kind.SERVER_ERROR: written.server_error,
        Kind.TIMED_OUT: written.timed_out,
        Kind.RATE_LIMITED: written.rate_limited,
    }.get(kind, 0)


async def refuse(request: Request, failure: Failed) -> None:
    """What its client is told when nobody answered: why the first one did not."""
    call, message = request.call, failure.message
    if failure.kind is Kind.OURS and (wait := wait_of(call)) is not None:
        message = f"{message}; ask again in {math.ceil(wait)} s"
    told = Refusal(
        status=failure.shown, kind=failure.type, message=message, param=failure.param, code=failure.code or ""
    )
    content = refusals.body(told, request.scope["path"])
    headers = answer.head(call, failure.shown, b"application/json", 0, list(failure.headers))
    if failure.wait is not None and wait_of(call) is None:
        headers.append((b"retry-after", failure.wait.encode("latin-1")))
    headers.append((b"content-length", str(len(content)).encode()))
    await request.send({"type": "http.response.start", "status": failure.shown, "headers": headers})
    await request.send({"type": "http.response.body", "body": content})
