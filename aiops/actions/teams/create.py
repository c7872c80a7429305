"""``aiops teams create``"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from aiops.actions.change.administer import administer
from aiops.actions.change.terms import Terms
from aiops.actions.instance.database import engine
from aiops.actions.teams.done import Done, called
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.state.administration import teams, view, words
from aiops.state.administration.journal import Actor
from aiops.state.administration.requests import TeamRequest
from aiops.state.store import clock
from aiops.state.store.rows import Team


def create(instance: Instance, alias: str, fields: Mapping[str, Any], terms: Terms, out: Output) -> Done:
    """``fields``: by LiteLLM's names. Raises UsageError with every problem."""

    def act(connection: Connection, by: Actor) -> tuple[Team, dict[str, Any]]:
        row = teams.create(connection, TeamRequest.of({"team_alias": alias, **fields}), by).row
        return row, view.team(connection, row, clock.read(connection) / clock.SECOND)

    with engine(instance) as database:
        row, shape = administer(database, act, lambda made: [f"+ {called(made[0])}: {words.may(made[0])}"], terms, out)
    outcome = "planned" if terms.dry_run else "applied"
    return Done(
        outcome, row, f"{called(row)} is there: `{instance.command} keys create --team {alias}` gives it a key", shape
    )
