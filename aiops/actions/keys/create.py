"""``aiops keys create``: a key, shown once, and how to try it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from aiops.actions.change.administer import administer
from aiops.actions.change.terms import Terms
from aiops.actions.instance.database import engine
from aiops.actions.instance.place import place
from aiops.actions.instance.snapshot import Snapshot
from aiops.actions.instance.which import with_team
from aiops.actions.keys.served import not_served
from aiops.errors import AiopsError
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.state.administration import keys, teams, view, words
from aiops.state.administration.journal import Actor
from aiops.state.administration.keys import Made
from aiops.state.administration.requests import KeyRequest
from aiops.state.store import clock


@dataclass(frozen=True)
class Created:
    """``key``: the key itself; empty in a plan. ``shape``: LiteLLM's answer to /key/generate."""

    outcome: str
    made: Made
    key: str
    shape: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {"outcome": self.outcome, **self.shape, "key": self.key or None}


def create(instance: Instance, fields: Mapping[str, Any], terms: Terms, out: Output) -> Created:
    """``fields``: by LiteLLM's names. Raises UsageError with every problem."""

    def act(connection: Connection, by: Actor) -> tuple[Made, str, dict[str, Any]]:
        made = keys.create(connection, KeyRequest.of(with_team(connection, fields)), by)
        may = words.may(made.row, teams.called(connection, [made.row]))
        return made, may, view.made(connection, made, clock.read(connection) / clock.SECOND)

    def tell(new: tuple[Made, str, dict[str, Any]]) -> list[str]:
        row, may = new[0].row, new[1]
        return [f"+ key {row.alias or row.id} ({row.name}): {may}", *not_served(instance, row)]

    with engine(instance) as database:
        made, _, shape = administer(database, act, tell, terms, out)
    if terms.dry_run:
        return Created("planned", made, "", {**shape, "token": None, "token_id": None})
    return Created("applied", made, made.key, shape)


def how_to_try(instance: Instance, made: Made) -> Iterator[str]:
    """For whoever sees the key for the only time."""
    yield "This is the only time that the key is shown. With it in $KEY:"
    try:
        url = place(instance).url
    except AiopsError:
        return
    model = _model(instance, made)
    body = f'{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'
    yield f'  export OPENAI_BASE_URL={url} OPENAI_API_KEY="$KEY"'
    headers = "-H \"Authorization: Bearer $KEY\" -H 'content-type: application/json'"
    yield f"  curl {url}/chat/completions {headers} -d '{body}'"
    if Snapshot(instance).master is None:
        yield f"The gateway does not run: `{instance.command} up` starts it."


def _model(instance: Instance, made: Made) -> str:
    """One that it may ask for."""
    plain = [each for each in made.row.models or () if "*" not in each and "?" not in each]
    routes = Snapshot(instance).routes
    served = [*routes[0].models] if routes is not None else []
    return next(iter([*plain, *served]), "MODEL")
