"""``aiops teams delete``: the team, its members, and its keys with it."""

from __future__ import annotations

from sqlalchemy import Connection

from aiops.actions.change.terms import Terms
from aiops.actions.instance.asking import asks
from aiops.actions.teams.doing import do
from aiops.actions.teams.done import Done, called
from aiops.errors import Precondition
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.state.administration import listing, teams
from aiops.state.administration.journal import Actor
from aiops.state.store.rows import Team


def delete(instance: Instance, said: str, terms: Terms, out: Output) -> Done:
    """Raises Unknown; Precondition while it has keys, unless ``terms.force`` or somebody was asked."""
    asking = asks(out, terms.assume_yes)

    def act(connection: Connection, row: Team, by: Actor) -> tuple[Team, list[str], str]:
        many = listing.count(connection, listing.Wanted(team=row.id))
        of = f"{many} key{'s' * (many != 1)}"
        if many and not (terms.force or terms.dry_run or asking):
            raise Precondition(
                f"{called(row)} has {of}, which would be revoked with it",
                f"`{instance.command} keys list --team {said}` lists them; with --force they are revoked",
            )
        deleted = teams.delete(connection, row, by)
        told = [f"- {called(row)}", *(f"- key {id}" for id in deleted.keys)]
        return row, told, f"{called(row)} is deleted" + (f", {of} revoked" if many else "")

    return do(instance, said, act, terms, out)
