"""``aiops keys show``: one key, what it may, and what it has used of that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aiops.actions.instance.database import engine
from aiops.actions.instance.which import key, named
from aiops.host.instance import Instance
from aiops.state import money
from aiops.state.administration import litellm, spend, teams, view, words
from aiops.state.store import audit, clock
from aiops.state.store import keys as stored
from aiops.state.store.open import reading
from aiops.state.store.rows import Key

LINES = 5  # of the audit


@dataclass(frozen=True)
class Shown:
    row: Key
    may: str
    state: str
    used: Sequence[spend.Used]
    total: int
    hashes: Sequence[stored.Hash]
    acts: Sequence[audit.Act]
    shape: dict[str, Any]

    def lines(self) -> Iterator[str]:
        row = self.row
        yield f"{'key:':<12}{row.name}" + (f", {row.alias}" if row.alias else "")
        yield f"{'id:':<12}{row.id}"
        yield f"{'state:':<12}{self.state}"
        yield f"{'may:':<12}{self.may}"
        for each in self.used:
            yield f"{'spent:':<12}{words.used(each)}"
        if row.soft_budget is not None:
            is_over = bool(self.used) and self.used[0].spent > row.soft_budget
            over = "it has spent more than its soft budget of" if is_over else "its soft budget is"
            yield f"{'note:':<12}{over} {money.shown(row.soft_budget)}; nothing is refused for it"
        yield f"{'in all:':<12}{money.shown(self.total)}"
        for hash in self.hashes:
            until = f", valid until {words.moment(hash.expires_at)}" if hash.expires_at is not None else ""
            yield f"{'hash:':<12}{hash.hash}{until}"
        for act in self.acts:
            yield f"{'done:':<12}{words.moment(act.at)} {act.verb} by {act.who} ({act.from_where}){_why(act)}"

    def to_json(self) -> dict[str, Any]:
        """As LiteLLM's /key/info."""
        return {"key": self.shape["key_name"], "info": self.shape}


def show(instance: Instance, said: str) -> Shown:
    """Raises Unknown."""
    said = named(said)
    with engine(instance) as database, reading(database) as connection:
        now = clock.read(connection) / clock.SECOND
        row = key(connection, said)
        lent = spend.lent(connection, row)
        state = litellm.status(row, now)
        return Shown(
            row,
            words.may(row, teams.called(connection, [row])),
            {"revoked": "blocked", "deleted": "revoked"}.get(state, state),
            spend.used(connection, row, lent, now),
            spend.spent(connection, row, lent, now).total,
            stored.hashes(connection, [row.id]),
            audit.page(connection, kind="key", object=row.id, size=LINES),
            view.info(connection, row, now),
        )


def _why(act: audit.Act) -> str:
    reason = (act.after or {}).get("reason")
    return f": “{reason}”" if reason else ""
