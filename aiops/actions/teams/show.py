"""``aiops teams show``: one team, what it has used of its budgets, its members and keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from aiops.actions.instance.database import engine
from aiops.actions.instance.which import team
from aiops.host.instance import Instance
from aiops.state import money
from aiops.state.administration import listing, spend, view, words
from aiops.state.store import clock
from aiops.state.store import teams as stored
from aiops.state.store.open import reading
from aiops.state.store.rows import Counted, Key, Member, Team

MOST = 20  # keys that are named


@dataclass(frozen=True)
class Shown:
    row: Team
    used: Sequence[str]
    total: int
    members: Sequence[tuple[Member, str]]
    keys: Sequence[Key]
    count: int
    shape: dict[str, Any]

    def lines(self) -> Iterator[str]:
        row = self.row
        yield f"{'team:':<12}{row.alias or row.id}"
        yield f"{'id:':<12}{row.id}"
        yield f"{'state:':<12}{'blocked' if row.blocked else 'active'}"
        yield f"{'may:':<12}{words.may(row)}"
        for used in self.used:
            yield f"{'spent:':<12}{used}"
        yield f"{'in all:':<12}{money.shown(self.total)}"
        for member, spent in self.members:
            yield f"{'member:':<12}{member.user_id} ({member.role}): {words.may(member)}; {spent}"
        for key in self.keys:
            yield f"{'key:':<12}{key.alias or key.id} ({key.name})"
        if self.count > len(self.keys):
            yield f"{'key:':<12}… {self.count} in all"

    def to_json(self) -> dict[str, Any]:
        """As LiteLLM's /team/info."""
        return self.shape


def show(instance: Instance, said: str) -> Shown:
    """Raises Unknown."""
    with engine(instance) as database, reading(database) as connection:
        now = clock.read(connection) / clock.SECOND
        row = team(connection, said)
        used, total = _spent(connection, row, now)
        members = [
            (each, "; ".join(_spent(connection, each, now)[0]) or "nothing is counted against a budget")
            for each in stored.members(connection, [row.id])
        ]
        shape = {
            "team_id": row.id,
            "team_info": view.team(connection, row, now),
            "keys": view.keys_of_team(connection, row.id, now),
            "team_memberships": view.memberships(connection, row, now),
        }
        wanted = listing.Wanted(team=row.id)
        keys = listing.page(connection, wanted, MOST)
        return Shown(row, used, total, members, keys, listing.count(connection, wanted), shape)


def _spent(connection: Connection, row: Counted, now: float) -> tuple[list[str], int]:
    """Of each budget, and ever."""
    lent = spend.lent(connection, row)
    used = [words.used(each) for each in spend.used(connection, row, lent, now)]
    return used, spend.spent(connection, row, lent, now).total
