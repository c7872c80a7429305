"""One act on a team: what each of the verbs does around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from aiops.actions.change.administer import administer
from aiops.actions.change.terms import Terms
from aiops.actions.instance.database import engine
from aiops.actions.instance.which import team
from aiops.actions.teams.done import Done
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.state.administration import view
from aiops.state.administration.journal import Actor
from aiops.state.store import clock
from aiops.state.store.rows import Team

Act = Callable[[Connection, Team, Actor], tuple[Team, list[str], str]]
"""The team as it is then, what to tell of it (nothing: there was nothing to do), and the sentence at the end."""


def do(instance: Instance, said: str, act: Act, terms: Terms, out: Output) -> Done:
    """``said``: alias or id. Raises Unknown, UsageError."""

    def on_it(connection: Connection, by: Actor) -> tuple[Team, list[str], str, dict[str, Any]]:
        row, told, sentence = act(connection, team(connection, said), by)
        return row, told, sentence, view.team(connection, row, clock.read(connection) / clock.SECOND)

    with engine(instance) as database:
        row, told, sentence, shape = administer(database, on_it, lambda found: found[1], terms, out)
    if not told:
        return Done("unchanged", row, sentence, shape)
    return Done("planned" if terms.dry_run else "applied", row, sentence, shape)
