"""``aiops teams remove-member``"""

from __future__ import annotations

from sqlalchemy import Connection

from aiops.actions.change.terms import Terms
from aiops.actions.teams.doing import do
from aiops.actions.teams.done import Done, called
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.state.administration import members
from aiops.state.administration.journal import Actor
from aiops.state.store.rows import Team


def remove(instance: Instance, said: str, user: str, terms: Terms, out: Output) -> Done:
    """Their keys stay with the team. Raises Unknown."""

    def act(connection: Connection, row: Team, by: Actor) -> tuple[Team, list[str], str]:
        members.remove(connection, row, user, by)
        return (
            row,
            [f"- {user} in {called(row)}"],
            f"{user} is no member of {called(row)} any more; keys stay as they are",
        )

    return do(instance, said, act, terms, out)
