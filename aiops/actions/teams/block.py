"""``aiops teams block``: all its keys are refused until it is unblocked."""

from __future__ import annotations

from sqlalchemy import Connection

from aiops.actions.change.terms import Terms
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

    def act(connection: Connection, row: Team, by: Actor) -> tuple[Team, list[str], str]:
        done = teams.block(connection, row, by, blocked)
        if done.seq is None:
            return done.row, [], f"no change: {called(row)} is {word} already"
        many = listing.count(connection, listing.Wanted(team=row.id))
        of = f"{called(row)}, {many} key{'s' * (many != 1)}"
        return done.row, [f"~ {of}: {word}"], f"{of}: {word}"

    return do(instance, said, act, terms, out)
