"""``aiops teams block``: all its keys are refused until it is unblocked."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from aiops.actions.change.terms import Terms
from aiops.actions.instance.database import engine
from aiops.actions.instance.heeded import heeded
from aiops.actions.teams.doing import do
from aiops.actions.teams.done import Done, called
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.state.administration import listing, teams
from aiops.state.administration.journal import Actor
from aiops.state.store.rows import Team


def block(instance: Instance, said: str, terms: Terms, out: Output, *, blocked: bool = True) -> Done:
    """Raises Unknown."""
    word = "blocked" if blocked else "unblocked"
    seq: int | None = None

    def act(connection: Connection, row: Team, by: Actor) -> tuple[Team, list[str], str]:
        nonlocal seq
        done = teams.block(connection, row, by, blocked)
        seq = done.seq
        if done.seq is None:
            return done.row, [], f"no change: {called(row)} is {word} already"
        many = listing.count(connection, listing.Wanted(team=row.id))
        of = f"{called(row)}, {many} key{'s' * (many != 1)}"
        return done.row, [f"~ {of}: {word}"], f"{of}: {word}"

    done = do(instance, said, act, terms, out)
    if seq is None or done.outcome != "applied":
        return done
    with engine(instance) as database:
        did = "refused its keys" if blocked else "let its keys in again"
        return replace(done, heeded=heeded(instance, database, seq, did))
