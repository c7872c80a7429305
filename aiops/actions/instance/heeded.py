"""Since when every worker of every gateway follows a change: a receipt for whoever made it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from aiops.host import master as control
from aiops.host.instance import Instance
from aiops.state.store import replicas
from aiops.state.store.open import reading

RECEIPT_SECONDS = 10.0
LIVE_SECONDS = 20.0  # without a sign of life, until a gateway counts as gone
LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Follows:
    """All workers of one gateway. ``seconds`` after the change was made; None: not yet when the time was over.
    ``did``: what they do since, for people."""

    replica: str
    host: str
    workers: int
    seconds: float | None
    did: str

    def __str__(self) -> str:
        many = f"{self.workers} worker{'s' * (self.workers != 1)} of {self.host}"
        if self.seconds is None:
            return f"✗ {many}: not yet after {RECEIPT_SECONDS:.0f} s"
        return f"✓ {many} {self.did} after {self.seconds:.2f} s"

    def to_json(self) -> dict[str, Any]:
        return {"replica": self.replica, "host": self.host, "workers": self.workers, "seconds": self.seconds}


@dataclass(frozen=True)
class Heeded:
    """``receipt``: of each gateway that lives; none when none runs. ``unheard``: one runs here and says nothing."""

    receipt: Sequence[Follows] = ()
    unheard: bool = False

    @property
    def everywhere(self) -> bool:
        return not self.unheard and all(each.seconds is not None for each in self.receipt)

    def lines(self) -> list[str]:
        if self.unheard:
            return ["✗ a gateway runs here, and its accountant does not say that it knows"]
        return [str(each) for each in self.receipt]


def heeded(instance: Instance, database: Engine, seq: int, did: str) -> Heeded:
    """Wait until the change of this number, made just now, is followed everywhere, ``RECEIPT_SECONDS`` at most."""
    receipt = tuple(_receipt(database, seq, time.monotonic(), did))
    return Heeded(receipt, not receipt and control.status(instance.run) is not None)


def _receipt(database: Engine, seq: int, began: float, did: str) -> list[Follows]:
    """Of each gateway that lives: when all its workers had applied the change."""
    follow: dict[str, Follows] = {}
    while True:
        with reading(database) as connection:
            live = replicas.live(connection, LIVE_SECONDS)
        passed = time.monotonic() - began
        for each in live:
            if each.applied_seq >= seq and each.id not in follow:
                follow[each.id] = Follows(each.id, each.host, len(each.workers), passed, did)
        late = [each for each in live if each.id not in follow]
        if not late:
            return [*follow.values()]
        if passed > RECEIPT_SECONDS:
            return [*follow.values(), *(Follows(each.id, each.host, len(each.workers), None, did) for each in late)]
        time.sleep(LOOK_SECONDS)
