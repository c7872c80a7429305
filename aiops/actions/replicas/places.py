"""The places of a limit of requests at once, taken in the counters that all replicas are to share: whoever shares them
has to refuse, whoever counts elsewhere lets one more in. No model is kept busy for it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Engine

from aiops.actions.instance.counters import ask, levels
from aiops.host.instance import Instance
from aiops.state import rules
from aiops.state.counters.meters import Counters, Demand, Granted, Meter
from aiops.state.store import identity
from aiops.state.store.open import reading
from aiops.verify.check import Failed
from aiops.verify.replicas.tenant import Replica, Reply, Tenant
from aiops.verify.side_by_side import side_by_side

FULL = "max_parallel_requests"
SECONDS = 60.0  # a place is free again after this, and ten seconds after the last sign of whoever took it


def asked_while_taken(instance: Instance, database: Engine, tenant: Tenant, replicas: Sequence[Replica]) -> list[Reply]:
    """What each of them says while another one has all the places. Raises Failed when they cannot be taken."""
    meters = _meters(database, tenant)
    with _taken(instance, meters):
        return list(side_by_side(tenant.ask, replicas, len(replicas)))


def refused(reply: Reply) -> str:
    """Raises Failed."""
    if reply.answered:
        raise Failed("let one more in while all places were taken: it counts by itself")
    if reply.limit != FULL:
        raise Failed(str(reply))
    return "refused while all places were taken elsewhere"


def held(replies: Sequence[Reply]) -> str:
    """Raises Failed."""
    lets = [reply.replica.name for reply in replies if reply.answered]
    if lets:
        raise Failed(f"the only place of a key was taken, and {', '.join(lets)} let one more in")
    return "the only place of a key was taken, as a request at yet another replica would"


def given_back(instance: Instance, database: Engine, tenant: Tenant, replies: Sequence[Reply]) -> str:
    """``replies``: to requests one after the other, when nobody else has a place. Raises Failed."""
    for reply in replies:
        if not reply.answered:
            raise Failed(f"the places are free again, and {reply.replica.name} says: {reply}")
    meters = _meters(database, tenant)
    stand = levels(instance, meters)
    held = [level.used for level in stand.values()] if stand is not None else []
    if not held or any(held):
        raise Failed(f"everything has ended, and {held or 'nobody knows how many'} places are taken")
    return f"one after the other, {len(replies)} of {len(replies)} passed, and no place is taken at the end"


@contextmanager
def _taken(instance: Instance, meters: Sequence[Meter]) -> Iterator[None]:
    owner, id = f"verify.{secrets.token_hex(8)}", secrets.token_hex(16)

    async def take(counters: Counters) -> bool:
        await counters.alive(owner)
        demand = Demand(id=id, owner=owner, meters=meters, seconds=SECONDS)
        return isinstance(await counters.reserve(demand), Granted)

    if not ask(instance, take):
        raise Failed("the counters that the replicas share cannot be reached from here, or have no place free")
    try:
        yield
    finally:
        ask(instance, lambda counters: counters.gone(owner))


def _meters(database: Engine, tenant: Tenant) -> Sequence[Meter]:
    with reading(database) as connection:
        whose = identity.by_id(connection, tenant.id)
    assert whose is not None
    return [meter for meter in rules.counts(whose, tenant.model, time.time()).meters if meter.what == "parallel"]
