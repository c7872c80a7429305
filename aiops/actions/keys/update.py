"""``aiops keys update``: other limits, another alias, another team."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from aiops.actions.change.administer import administer
from aiops.actions.change.terms import Terms
from aiops.actions.instance.database import engine
from aiops.actions.instance.which import key, named, with_team
from aiops.actions.keys.done import Done, called
from aiops.actions.keys.served import not_served
from aiops.errors import UsageError
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.state.administration import keys, teams, view, words
from aiops.state.administration.journal import Actor
from aiops.state.administration.requests import KeyRequest
from aiops.state.store import clock
from aiops.state.store.rows import Key


def update(instance: Instance, said: str, fields: Mapping[str, Any], terms: Terms, out: Output) -> Done:
    """``fields``: by LiteLLM's names; null takes one away. Raises UsageError with every problem."""
    if not fields:
        raise UsageError("nothing was said to change", f"`{instance.command} keys update --help` lists what can be")
    said = named(said)

    def act(connection: Connection, by: Actor) -> tuple[Key, Key, int | None, str, dict[str, Any]]:
        row = key(connection, said)
        done = keys.change(connection, row, KeyRequest.of(with_team(connection, fields)), by)
        shape = view.key(connection, done.row, clock.read(connection) / clock.SECOND)
        return row, done.row, done.seq, words.may(done.row, teams.called(connection, [done.row])), shape

    def tell(found: tuple[Key, Key, int | None, str, dict[str, Any]]) -> list[str]:
        before, after, seq, *_ = found
        told = [f"key {called(before)}", *words.difference(before, after)] if seq is not None else []
        return [*told, *not_served(instance, after)] if "models" in fields else told

    with engine(instance) as database:
        _, row, seq, may, shape = administer(database, act, tell, terms, out)
    if seq is None:
        return Done("unchanged", row, f"no change: {called(row)} is so already", shape)
    return Done("planned" if terms.dry_run else "applied", row, f"{called(row)}: {may}", shape, seq)
