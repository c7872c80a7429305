"""``aiops teams add-member``"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from aiops.actions.change.administer import in_words_of_options
from aiops.actions.change.terms import Terms
from aiops.actions.teams.doing import do
from aiops.actions.teams.done import Done, called
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.state.administration import members, words
from aiops.state.administration.journal import Actor
from aiops.state.administration.requests import Member, MemberRequest
from aiops.state.store import teams as stored
from aiops.state.store.rows import Team


def add(instance: Instance, said: str, user: str, fields: Mapping[str, Any], terms: Terms, out: Output) -> Done:
    """A member that is there already gets what is said. Raises UsageError with every problem."""
    with in_words_of_options():
        asked = MemberRequest.of(fields)

    def act(connection: Connection, row: Team, by: Actor) -> tuple[Team, list[str], str]:
        there = stored.member(connection, row.id, user)
        if there is None:
            made = members.add(connection, row, Member(user_id=user), asked, by=by).row
            of = f"{user} in {called(row)}: {words.may(made)}"
            return row, [f"+ {of}"], of
        done = members.change(connection, there, asked, by)
        of = f"{user} in {called(row)}: {words.may(done.row)}"
        if done.seq is None:
            return row, [], f"no change: {of}"
        return row, [f"{user} in {called(row)}", *words.difference(there, done.row)], of

    return do(instance, said, act, terms, out)
