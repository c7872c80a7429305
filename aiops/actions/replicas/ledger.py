"""What the ledger has of the keys of one run."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, select

from aiops.actions.instance.counters import ask
from aiops.host import accountant
from aiops.host.instance import Instance
from aiops.state.store.open import reading
from aiops.state.store.tables import usage
from aiops.state.usage import settled
from aiops.verify.check import Failed
from aiops.verify.replicas.limits import named
from aiops.verify.replicas.tenant import Tenant

PATIENCE_SECONDS = 10.0  # each replica writes what it has by itself, four times a second
LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Row:
    """One request. ``cost``: nano-dollars, None where nobody knows the price. ``settled``: in which counters, see
    ``state/usage/settled.py``."""

    key: str
    replica: str
    status: int
    cost: int | None
    settled: str = ""


@dataclass(frozen=True)
class Ledger:
    """Of the gateway here, which is made to write what it has before it is read."""

    instance: Instance
    database: Engine

    def rows(self, tenants: Sequence[Tenant]) -> list[Row]:
        """Of these keys; all that they were answered, or what is there when the time is over."""
        wanted = sum(tenant.answered.total() for tenant in tenants)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            accountant.ingest(self.instance.run)
            found = self._read({tenant.id for tenant in tenants})
            if sum(row.status == 200 for row in found) >= wanted or time.monotonic() > deadline:
                return found
            time.sleep(LOOK_SECONDS)

    def alone(self, tenant: Tenant) -> Counter[str]:
        """By the id of the replica, the requests of this key that were counted in other counters than those that are
        shared: by a replica that has other ones, or had to do without them at that moment. It has to have a budget,
        or the ledger does not say."""
        epoch = ask(self.instance, lambda counters: counters.epoch())
        rows = self.rows([tenant])
        return Counter(row.replica for row in rows if row.settled and settled.epoch(row.settled) != epoch)

    def _read(self, keys: Collection[str]) -> list[Row]:
        columns = select(usage.c.key_id, usage.c.replica, usage.c.status, usage.c.cost, usage.c.epoch)
        with reading(self.database) as connection:
            return [Row(*row) for row in connection.execute(columns.where(usage.c.key_id.in_(keys)))]


def counted(tenants: Sequence[Tenant], rows: Sequence[Row], names: Mapping[str, str]) -> str:
    """A row for each request that was answered, as one of the replica that answered it, and none for any other.
    ``names``: of replicas by id. Raises Failed."""
    answered: Counter[str] = sum((tenant.answered for tenant in tenants), Counter())
    unclear: Counter[str] = sum((tenant.unclear for tenant in tenants), Counter())
    written = Counter(row.replica for row in rows if row.status == 200)
    others = Counter(row.replica for row in rows if row.status != 200)
    wrong = [
        f"{names.get(id, id)}: {answered[id]} answered, {written[id]} in the ledger"
        for id in sorted({*answered, *written})
        # one whose answer nobody waited for may have been answered all the same
        if not answered[id] <= written[id] <= answered[id] + unclear[id]
    ]
    wrong += [
        f"{names.get(id, id)}: {others[id]} in the ledger that nobody made"
        for id in sorted(others)
        if others[id] > unclear[id]
    ]
    if wrong:
        raise Failed("; ".join(wrong))
    by_name = Counter({names.get(id, id): many for id, many in written.items()})
    return f"{answered.total()} requests were answered, and the ledger has {written.total()} ({named(by_name)})"
