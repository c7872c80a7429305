"""``aiops teams update``"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from aiops.actions.change.terms import Terms
from aiops.actions.teams.doing import do
from aiops.actions.teams.done import Done, called
from aiops.errors import UsageError
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.state.administration import teams, words
from aiops.state.administration.journal import Actor
from aiops.state.administration.requests import TeamRequest
from aiops.state.store.rows import Team


def update(instance: Instance, said: str, fields: Mapping[str, Any], terms: Terms, out: Output) -> Done:
    """``fields``: by LiteLLM's names; null takes one away. Raises UsageError with every problem."""
    if not fields:
        raise UsageError("nothing was said to change", f"`{instance.command} teams update --help` lists what can be")
    of_members = [name for name in fields if name.startswith("team_member_")]

    def act(connection: Connection, row: Team, by: Actor) -> tuple[Team, list[str], str]:
        done = teams.change(connection, row, TeamRequest.of(fields), by)
        lent = [f"~ {name.removeprefix('team_')}: {fields[name]}" for name in of_members]
        if done.seq is None and not lent:
            return done.row, [], f"no change: {called(done.row)} is so already"
        told = [called(row), *words.difference(row, done.row), *lent]
        return done.row, told, f"{called(done.row)}: {words.may(done.row)}"

    return do(instance, said, act, terms, out)
