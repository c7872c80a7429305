"""A budget is spent once, by whichever replicas, and nobody is refused for good before it is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event

from aiops.state import money
from aiops.verify.check import Failed
from aiops.verify.replicas.tenant import Replica, Reply, Tenant
from aiops.verify.side_by_side import side_by_side

FULL = "budget"
OVER = 0.02  # of the budget
AGAIN_SECONDS = 0.3  # until a request asks again that found all of the budget reserved by others
PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Spending:
    """``replies``: the last one to each request that was made; ``waited``: how often one had to wait for others."""

    replies: Sequence[Reply]
    waited: int

    @property
    def final(self) -> list[Reply]:
        return [reply for reply in self.replies if reply.final]


def spend(tenant: Tenant, replicas: Sequence[Replica], many: int, at_once: int, seconds: float) -> Spending:
    """Ask ``many`` times at most, all replicas in turn, until one has refused for good; then each of them once.
    ``seconds``: that an answer takes; one after the other is how the last of a budget is spent."""
    spent = Event()
    waits: list[Reply] = []
    deadline = time.monotonic() + PATIENCE_SECONDS + many * seconds

    def one(number: int) -> Reply | None:
        while not spent.is_set():
            reply = tenant.ask(replicas[number % len(replicas)])
            if reply.final:
                spent.set()
            if reply.limit != FULL or reply.final or time.monotonic() > deadline:
                return reply
            waits.append(reply)
            spent.wait(min(AGAIN_SECONDS, reply.wait or AGAIN_SECONDS))
        return None

    replies = [reply for reply in side_by_side(one, range(many), at_once) if reply is not None]
    return Spending([*replies, *(tenant.ask(replica) for replica in replicas)], len(waits))


def overspent(budget: int, costs: Sequence[int]) -> str:
    """``costs``: of each request in the ledger, at rest, nano-dollars. Raises Failed."""
    most = round(budget * (1 + OVER))
    if len(set(costs)) > 1:  # a budget is spent when nothing is left of it: the last request may cost more than was
        most = max(most, budget + max(costs) - 1)
    said = f"{money.shown(sum(costs))} of {money.shown(budget)} spent by {len(costs)} requests"
    if not sum(costs):
        raise Failed(f"{said}: nothing was spent, so nothing is shown")
    if sum(costs) > most:
        raise Failed(f"{said}: {sum(costs) / budget:.2f} times the budget")
    return said


def refusals(budget: int, spent: int, spending: Spending, replicas: Sequence[Replica]) -> str:
    """``spent``: at rest, nano-dollars. Raises Failed."""
    said = f"{money.shown(spent)} of {money.shown(budget)}"
    if spending.final and spent < budget:
        raise Failed(f"{spending.final[0].replica.name} refused for good when {said} were spent")
    if spent < budget:
        raise Failed(f"{said} could be spent, and then: {spending.replies[-1]}")
    last = {reply.replica.id: reply for reply in spending.replies}
    lets = [f"{replica.name} ({last[replica.id]})" for replica in replicas if not last[replica.id].final]
    if lets:
        raise Failed(f"spent, and not refused for good by {', '.join(lets)}")
    names = ", ".join(replica.name for replica in replicas)
    return f"none before it was spent; then by {names}" + (f"; {spending.waited} waited" if spending.waited else "")


def heeded(reply: Reply) -> str:
    """Of a key that has spent its budget, by the database. Raises Failed."""
    if not reply.final:
        raise Failed("it answers, although the database says that all was spent" if reply.answered else str(reply))
    return "refused for good: the database says that all was spent"
