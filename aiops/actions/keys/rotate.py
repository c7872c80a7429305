"""``aiops keys rotate``: another key in place of one, which stays valid for a while."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from aiops.actions.change.administer import administer
from aiops.actions.change.terms import Terms
from aiops.actions.instance.database import engine
from aiops.actions.instance.which import key, named
from aiops.actions.keys.create import Created
from aiops.actions.keys.done import called
from aiops.errors import UsageError
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.state.administration import keys, readers, view, words
from aiops.state.administration.journal import Actor
from aiops.state.administration.keys import Made
from aiops.state.administration.requests import KeyRequest
from aiops.state.store import clock


def rotate(instance: Instance, said: str, grace: str | None, terms: Terms, out: Output) -> Created:
    """``grace``: a duration that the old one stays valid; None: it does not. Raises UsageError."""
    said = named(said)
    try:
        seconds = readers.lifetime(grace) or 0
    except ValueError as error:
        raise UsageError(f"--grace-period {error}") from None

    def act(connection: Connection, by: Actor) -> tuple[Made, str, dict[str, Any]]:
        row = key(connection, said)
        made = keys.rotate(connection, row, KeyRequest(), by, seconds)
        return made, called(row), view.made(connection, made, clock.read(connection) / clock.SECOND)

    def tell(found: tuple[Made, str, dict[str, Any]]) -> list[str]:
        made, before, _ = found
        ends = clock.SECOND * seconds + made.row.updated_at
        old = f"valid until {words.moment(ends)}" if seconds else "refused from now on"
        return [f"~ key {before}: another key in its place, the old one is {old}"]

    with engine(instance) as database:
        made, _, shape = administer(database, act, tell, terms, out)
    if terms.dry_run:
        return Created("planned", made, "", {**shape, "token": None, "token_id": None})
    return Created("applied", made, made.key, shape)
