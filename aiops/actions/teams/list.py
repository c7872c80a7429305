"""``aiops teams list``: a line for each team, the newest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aiops.actions.instance.database import engine
from aiops.actions.instance.table import columns
from aiops.host.instance import Instance
from aiops.state import money
from aiops.state.administration import listing, spend, view, words
from aiops.state.store import clock, teams
from aiops.state.store.open import reading

MOST = 1000


@dataclass(frozen=True)
class Listed:
    rows: Sequence[dict[str, Any]]
    shapes: Sequence[dict[str, Any]]

    def lines(self) -> Iterator[str]:
        yield from columns(self.rows) if self.rows else ["no teams; `aiops teams create NAME` makes one"]

    def to_json(self) -> dict[str, Any]:
        return {"teams": [*self.shapes]}


def list(instance: Instance) -> Listed:
    """The ``MOST`` newest."""
    with engine(instance) as database, reading(database) as connection:
        now = clock.read(connection) / clock.SECOND
        found = teams.page(connection, size=MOST)
        rows = [
            {
                "team": each.alias or "",
                "id": each.id,
                "state": "blocked" if each.blocked else "active",
                "keys": listing.count(connection, listing.Wanted(team=each.id)),
                "members": len(teams.members(connection, [each.id])),
                "spent": money.shown(spend.spent(connection, each, spend.lent(connection, each), now).window),
                "may": words.may(each),
            }
            for each in found
        ]
        return Listed(rows, [view.team(connection, each, now) for each in found])
