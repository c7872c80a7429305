"""``aiops keys block``: refused until it is unblocked; says who refuses it since when."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from aiops.actions.change.administer import administer
from aiops.actions.change.terms import Terms
from aiops.actions.instance.database import engine
from aiops.actions.instance.heeded import heeded
from aiops.actions.instance.which import key, named
from aiops.actions.keys.done import Done, called
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.state.administration import journal, keys, view
from aiops.state.administration.journal import Actor
from aiops.state.store import clock
from aiops.state.store.rows import Key


def block(instance: Instance, said: str, terms: Terms, out: Output, *, blocked: bool = True) -> Done:
    """Raises Unknown, Precondition for one that was revoked."""
    said, word = named(said), "blocked" if blocked else "unblocked"

    def act(connection: Connection, by: Actor) -> tuple[journal.Done[Key], dict[str, Any]]:
        done = keys.block(connection, key(connection, said), by, blocked)
        return done, view.key(connection, done.row, clock.read(connection) / clock.SECOND)

    with engine(instance) as database:
        done, shape = administer(
            database, act, lambda found: [f"~ key {called(found[0].row)}: {word}"] if found[0].seq else [], terms, out
        )
        if done.seq is None:
            return Done("unchanged", done.row, f"no change: {called(done.row)} is {word} already", shape)
        sentence = f"{called(done.row)} is {word}"
        if terms.dry_run:
            return Done("planned", done.row, sentence, shape, done.seq)
        followed = heeded(instance, database, done.seq, "refused it" if blocked else "let it in again")
        return Done("applied", done.row, sentence, shape, done.seq, followed)
