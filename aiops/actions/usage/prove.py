"""``aiops usage prove``: of each budget the ledger says the same as the counters, what is under way apart."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, select

from aiops.actions.instance.counters import levels
from aiops.actions.instance.database import engine
from aiops.errors import Precondition
from aiops.host import accountant
from aiops.host.instance import Instance
from aiops.state import money
from aiops.state.counters.meters import Meter
from aiops.state.store import clock
from aiops.state.store.open import reading
from aiops.state.store.tables import keys
from aiops.state.usage import aside, budgets

PATIENCE_SECONDS = 5.0  # for what is between the counters and the ledger while requests end
LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Proof:
    """Of one budget in the window that is now, nano-dollars. ``counter``: what is settled there; None: nobody has
    counted in it since the counters began, so the ledger alone has it. ``reserved``: by requests under way."""

    whose: str
    meter: Meter
    ledger: int
    counter: int | None
    reserved: int

    @property
    def ok(self) -> bool:
        return self.counter is None or self.counter == self.ledger

    def __str__(self) -> str:
        said = f"{self.whose}: ledger {money.shown(self.ledger)}"
        if self.counter is None:
            return f"✓ {said}, not counted yet"
        under_way = f", {money.shown(self.reserved)} under way" if self.reserved else ""
        if self.ok:
            return f"✓ {said} = counter{under_way}"
        return f"✗ {said}, counter {money.shown(self.counter)}: {money.shown(self.counter - self.ledger)}{under_way}"


@dataclass(frozen=True)
class Proved:
    """``set_aside``: records that the ledger could not take, also now."""

    proofs: Sequence[Proof]
    ingested: bool
    set_aside: int = 0

    @property
    def ok(self) -> bool:
        return all(each.ok for each in self.proofs)

    @property
    def summary(self) -> str:
        wrong = sum(not each.ok for each in self.proofs)
        compared = sum(each.counter is not None for each in self.proofs)
        if not compared:
            return f"{_budgets(len(self.proofs))}: nothing was compared" + ", not counted yet" * bool(self.proofs)
        rest = len(self.proofs) - compared
        said = f"{wrong} differ" if wrong else "ledger = counters, to the nano-dollar"
        return f"{_budgets(compared)}: {said}" + (f"; {rest} not counted yet, and not compared" if rest else "")

    def lines(self) -> Iterator[str]:
        yield from map(str, self.proofs)
        if self.set_aside:
            yield f"! {self.set_aside} records are set aside, which the ledger could not take: state/spool/{aside.NAME}"
        if not self.ingested:
            yield "! no accountant answers: what is in the spools is not in the ledger yet"

    def to_json(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "ingested": self.ingested,
            "set_aside": self.set_aside,
            "budgets": [
                {
                    "whose": each.whose,
                    "counter_name": each.meter.name,
                    "ledger_nano_usd": each.ledger,
                    "counter_nano_usd": each.counter,
                    "reserved_nano_usd": each.reserved,
                    "ok": each.ok,
                }
                for each in self.proofs
            ],
        }


def _budgets(many: int) -> str:
    return f"{many} budget{'s' * (many != 1)}"


def prove(instance: Instance, of: Collection[str] | None = None) -> Proved:
    """Of all keys that are not revoked, or those with these ids, their teams, users and members. Raises Precondition
    when nothing was counted here ever."""
    with engine(instance) as database:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            ingested = accountant.ingest(instance.run)
            found = Proved(_proofs(instance, database, of), ingested, aside.count(instance.state))
            if found.ok or time.monotonic() > deadline:
                return found
            time.sleep(LOOK_SECONDS)


def _proofs(instance: Instance, database: Engine, of: Collection[str] | None) -> list[Proof]:
    # The counters first: what is settled after that may be in the ledger already, and is looked at once more.
    with reading(database) as connection:
        now = clock.read(connection) / clock.SECOND
        live = select(keys.c.id).where(keys.c.revoked_at.is_(None))
        ids = connection.scalars(live).all() if of is None else of
        counted = budgets.of_keys(connection, ids, now)
    stand = levels(instance, [each.meter for each in counted])
    if stand is None:
        raise Precondition("no worker has counted anything here yet", f"`{instance.command} up` starts the gateway")
    proofs = []
    with reading(database) as connection:
        for each in counted:
            level = stand.get(each.meter.name)
            settled = None if level is None else level.used - level.reserved
            account, model = each.account, each.model
            whose = f"{account.kind} {account.name or account.id}{f' on {model}' if model else ''}"
            ends = f" ({each.meter.name.rpartition(':usd:')[2]})"
            reserved = level.reserved if level is not None else 0
            proofs.append(Proof(whose + ends, each.meter, budgets.spent(connection, each), settled, reserved))
    return proofs
