"""``aiops keys revoke``: refused for good, with a receipt: who refuses it since when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from aiops.actions.change.administer import administer
from aiops.actions.change.terms import Terms
from aiops.actions.instance.database import engine
from aiops.actions.instance.heeded import Follows, heeded
from aiops.actions.instance.which import key, named
from aiops.actions.keys.done import called
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.state.administration import keys, view
from aiops.state.administration.journal import Actor
from aiops.state.store import clock


@dataclass(frozen=True)
class Revoked:
    """``receipt``: of each gateway that lives; none when none runs. ``unheard``: one runs here and says nothing."""

    outcome: str
    name: str
    shape: dict[str, Any]
    receipt: Sequence[Follows] = ()
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
            "receipt": [each.to_json() for each in self.receipt],
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
        if seq is None or terms.dry_run:
            return Revoked("planned" if seq is not None else "unchanged", name, shape)
        found = heeded(instance, database, seq, "refused it")
        return Revoked("applied", name, shape, found.receipt, found.unheard)
