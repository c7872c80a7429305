"""How long a replica lets a key in that it must not let in any more, measured from outside."""

from __future__ import annotations

import time
from collections.abc import Sequence

from aiops.verify.check import Failed
from aiops.verify.replicas.tenant import Replica, Reply, Tenant
from aiops.verify.side_by_side import side_by_side

SECONDS = 1.0  # within which a change counts everywhere
PATIENCE_SECONDS = 5.0
LOOK_SECONDS = 0.01
REFUSED = 401


def seconds_of_each(tenant: Tenant, replicas: Sequence[Replica], began: float) -> list[float | Reply]:
    """Of each replica since ``began`` (``time.monotonic``), until none of its workers let the key in any more; else the
    reply of one that still does. All are watched at the same time."""
    return list(side_by_side(lambda replica: _seconds(tenant, replica, began), replicas, len(replicas)))


def in_time(found: float | Reply) -> str:
    """Raises Failed."""
    if isinstance(found, Reply):
        still = "lets it in" if found.answered else str(found)
        raise Failed(f"after {PATIENCE_SECONDS:.0f} s {found.replica.name} still says: {still}")
    if found > SECONDS:
        raise Failed(f"refused after {found:.2f} s, which is more than {SECONDS:.0f} s")
    return f"refused after {found:.2f} s"


def _seconds(tenant: Tenant, replica: Replica, began: float) -> float | Reply:
    """The kernel chooses which worker takes a connection: one refusal says nothing of the others."""
    enough = 5 * max(1, replica.workers)
    in_a_row, since = 0, 0.0
    while True:
        reply = tenant.look(replica)
        if reply.status == REFUSED:
            in_a_row += 1
            since = since if in_a_row > 1 else reply.ended - began
            if in_a_row >= enough:
                return since
            continue
        in_a_row = 0
        if reply.began - began > PATIENCE_SECONDS:
            return reply
        time.sleep(LOOK_SECONDS)
