"""``aiops keys revoke``: refused for good, with a receipt: who refuses it since when."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine

from aiops.actions.change.administer import administer
from aiops.actions.change.terms import Terms
from aiops.actions.instance.database import engine
from aiops.actions.keys.done import called
from aiops.actions.keys.which import key, named
from aiops.host import master as control
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.state.administration import keys, view
from aiops.state.administration.journal import Actor
from aiops.state.store import clock, replicas
from aiops.state.store.open import reading

RECEIPT_SECONDS = 10.0
LIVE_SECONDS = 20.0  # without a sign of life, until a gateway counts as gone
LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Refused:
    """By all workers of one gateway. ``seconds`` after the key was revoked; None: not yet when the time was over."""

    replica: str
    host: str
    workers: int
    seconds: float | None

    def __str__(self) -> str:
        many = f"{self.workers} worker{'s' * (self.workers != 1)} of {self.host}"
        if self.seconds is None:
            return f"✗ {many}: not yet after {RECEIPT_SECONDS:.0f} s"
        return f"✓ {many} refused it after {self.seconds:.2f} s"


@dataclass(frozen=True)
class Revoked:
    """``receipt``: of each gateway that lives; none when none runs. ``unheard``: one runs here and says nothing."""

    outcome: str
    name: str
    shape: dict[str, Any]
    receipt: Sequence[Refused] = ()
    unheard: bool = False

    @property
    def everywhere(self) -> bool:
        return not self.unheard and all(each.seconds is not None for each in self.receipt)

    @property
    def sentence(self) -> str:
        if self.outcome == "unchanged":
            return f"no change: {self.name} was revoked already"
        if self.outcome == "planned" or self.receipt:
            return f"{self.name} is revoked"
        if self.unheard:
            return f"{self.name} is revoked; a gateway runs here, and its accountant does not say that it knows"
        return f"{self.name} is revoked; no gateway runs that could let it in"

    def lines(self) -> list[str]:
        return [self.sentence, *map(str, self.receipt)]

    def to_json(self) -> dict[str, Any]:
        return {
            "outcome": self.outcome,
            **self.shape,
            "receipt": [
                {"replica": each.replica, "host": each.host, "workers": each.workers, "seconds": each.seconds}
                for each in self.receipt
            ],
        }


def revoke(instance: Instance, said: str, terms: Terms, out: Output) -> Revoked:
    """Raises Unknown."""
    said = named(said)

    def act(connection: Connection, by: Actor) -> tuple[str, int | None, dict[str, Any]]:
        row = key(connection, said)
        done = keys.revoke(connection, row, by)
        return called(row), done.seq, view.key(connection, done.row, clock.read(connection) / clock.SECOND)

    with engine(instance) as database:
        name, seq, shape = administer(
            database, act, lambda found: [f"- key {found[0]}"] if found[1] is not None else [], terms, out
        )
        began = time.monotonic()
        if seq is None or terms.dry_run:
            return Revoked("planned" if seq is not None else "unchanged", name, shape)
        receipt = tuple(_receipt(database, seq, began))
        unheard = not receipt and control.status(instance.run) is not None
        return Revoked("applied", name, shape, receipt, unheard)


def _receipt(database: Engine, seq: int, began: float) -> list[Refused]:
    """Of each gateway that lives: when all its workers had applied the change."""
    refused: dict[str, Refused] = {}
    while True:
        with reading(database) as connection:
            live = replicas.live(connection, LIVE_SECONDS)
        passed = time.monotonic() - began
        for each in live:
            if each.applied_seq >= seq and each.id not in refused:
                refused[each.id] = Refused(each.id, each.host, len(each.workers), passed)
        late = [each for each in live if each.id not in refused]
        if not late:
            return [*refused.values()]
        if passed > RECEIPT_SECONDS:
            return [*refused.values(), *(Refused(each.id, each.host, len(each.workers), None) for each in late)]
        time.sleep(LOOK_SECONDS)
