"""``aiops keys revoke``: refused for good, with a receipt: who refuses it since when."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from aiops.actions.change.administer import administer
from aiops.actions.change.terms import Terms
from aiops.actions.instance.database import engine
from aiops.actions.instance.heeded import Heeded, heeded
from aiops.actions.instance.which import key, named
from aiops.actions.keys.done import Done, called
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.state.administration import keys, view
from aiops.state.administration.journal import Actor
from aiops.state.store import clock
from aiops.state.store.rows import Key


def revoke(instance: Instance, said: str, terms: Terms, out: Output) -> Done:
    """Raises Unknown."""
    said = named(said)

    def act(connection: Connection, by: Actor) -> tuple[str, Key, int | None, dict[str, Any]]:
        row = key(connection, said)
        done = keys.revoke(connection, row, by)
        shape = view.key(connection, done.row, clock.read(connection) / clock.SECOND)
        return called(row), done.row, done.seq, shape

    with engine(instance) as database:
        name, row, seq, shape = administer(
            database, act, lambda found: [f"- key {found[0]}"] if found[2] is not None else [], terms, out
        )
        if seq is None:
            return Done("unchanged", row, f"no change: {name} was revoked already", shape, None, Heeded())
        sentence = f"{name} is revoked"
        if terms.dry_run:
            return Done("planned", row, sentence, shape, seq, Heeded())
        found = heeded(instance, database, seq, "refused it")
    nobody = "" if found.receipt or found.unheard else "; no gateway runs that could let it in"
    return Done("applied", row, sentence + nobody, shape, seq, found)
