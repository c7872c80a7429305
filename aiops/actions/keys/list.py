"""``aiops keys list``: a line for each key, the newest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiops.actions.instance import which
from aiops.actions.instance.database import engine
from aiops.actions.instance.table import columns
from aiops.errors import UsageError
from aiops.host.instance import Instance
from aiops.state import money
from aiops.state.administration import find, listing, litellm, spend, teams, words
from aiops.state.store import clock
from aiops.state.store import keys as stored
from aiops.state.store.keys import Cursor
from aiops.state.store.open import reading
from aiops.state.store.rows import Key

Row = dict[str, Any]


@dataclass(frozen=True)
class Listed:
    """``next``: what `--after` takes for the next page; empty at the end."""

    rows: Sequence[Row]
    shapes: Sequence[Row]
    next: str

    def lines(self) -> Iterator[str]:
        yield from columns(self.rows) if self.rows else ["no keys; `aiops keys create` makes one"]

    def to_json(self) -> Row:
        """As LiteLLM's /key/list with whole objects; pages go by ``next``, and nothing is counted."""
        return {"keys": [*self.shapes], "next": self.next or None}


def list(
    instance: Instance,
    *,
    team: str | None,
    user: str | None,
    search: str | None,
    everything: bool,
    after: str,
    size: int,
) -> Listed:
    """``everything``: revoked ones too. Raises Unknown for a team that is none."""
    with engine(instance) as database, reading(database) as connection:
        now = clock.read(connection) / clock.SECOND
        wanted = listing.Wanted(
            team=which.team(connection, team).id if team else None, user=user, part=search, deleted=everything
        )
        found = listing.page(connection, wanted, size + 1, _cursor(after))
        page, more = found[:size], len(found) > size
        tokens = find.hashes(connection, [each.id for each in page])
        lents = [spend.lent(connection, each) for each in page]
        spents = [spend.spent(connection, each, lent, now) for each, lent in zip(page, lents, strict=True)]
        called = teams.called(connection, page)
        rows = [_row(each, spent, now, called) for each, spent in zip(page, spents, strict=True)]
        shapes = [
            litellm.key(each, tokens.get(each.id), spent, lent, now)
            for each, spent, lent in zip(page, spents, lents, strict=True)
        ]
    last = stored.cursor(page[-1]) if more else None
    return Listed(rows, shapes, f"{last.created_at}-{last.id}" if last is not None else "")


def _row(key: Key, spent: spend.Spent, now: float, called: Mapping[str, str]) -> Row:
    state = litellm.status(key, now)
    return {
        "alias": key.alias or "",
        "key": key.name,
        "id": key.id,
        "state": {"revoked": "blocked", "deleted": "revoked"}.get(state, state),
        "spent": money.shown(spent.window),
        "may": words.may(key, called),
    }


def _cursor(after: str) -> Cursor | None:
    if not after:
        return None
    at, _, id = after.partition("-")
    if not at.isdigit() or not id:
        raise UsageError(f"--after {after} is no place in the list", "the page before says what to type")
    return Cursor(int(at), id)
