"""Users: whoever keys are made for, with limits over all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from uuid import uuid4

from sqlalchemy import Connection, select

from aiops.state.administration import journal, keys, limits
from aiops.state.administration.journal import Actor, Done
from aiops.state.administration.request import Invalid, Problem, Unknown, said
from aiops.state.administration.requests import UserRequest
from aiops.state.store import clock, rows, users
from aiops.state.store.rows import Member, User
from aiops.state.store.tables import team_members


@dataclass(frozen=True)
class Deleted:
    """``keys``: ids of those that ended with them. ``seq``: of the last change."""

    row: User
    keys: tuple[str, ...]
    seq: int


def get(connection: Connection, said: str) -> User:
    """By id or mail address. Raises Unknown."""
    found = users.get(connection, said)
    if found is not None:
        return found
    called = users.get_by_email(connection, said)
    if len(called) == 1:
        return called[0]
    raise Unknown("user", said, [each.id for each in users.page(connection)])


def known(connection: Connection, id: str, by: Actor) -> User:
    """Made when there is none of this id."""
    return users.get(connection, id) or journal.add(connection, User(id=id), by, "users create").row


def create(connection: Connection, asked: UserRequest, by: Actor) -> Done[User]:
    """Not yet in their teams. Raises Invalid with every problem."""
    at = clock.read(connection)
    id = said(asked.id, None) or str(uuid4())
    row = replace(User(id=id), **asked.given())
    problems = [*_problems(connection, row, None)]
    if users.get(connection, id) is not None:
        problems.append(Problem("user_id", f"is taken: there is a user `{id}`"))
    if problems:
        raise Invalid(problems)
    if spent := said(asked.spend, None):
        row = replace(row, base_spend=spent, base_at=at)
    return journal.add(connection, row, by, "users create")


def change(connection: Connection, row: User, asked: UserRequest, by: Actor) -> Done[User]:
    """Raises Invalid with every problem."""
    values = asked.given()
    problems = [*_problems(connection, replace(row, **values), row)]
    if problems:
        raise Invalid(problems)
    if (spent := said(asked.spend, None)) is not None:
        values |= limits.anew(row, spent, clock.read(connection))
    return journal.change(connection, row, values, by, "users update")


def delete(connection: Connection, row: User, by: Actor) -> Deleted:
    """Their keys are revoked, and they leave their teams; what they spent stays in the ledger."""
    ended = keys.revoke_all_of(connection, by, user=row.id)
    for member in memberships(connection, row.id):
        journal.remove(connection, member, by, "users delete")
    return Deleted(row, tuple(ended), journal.remove(connection, row, by, "users delete"))


def memberships(connection: Connection, user: str) -> list[Member]:
    found = connection.execute(
        select(team_members).where(team_members.c.user_id == user).order_by(team_members.c.team_id)
    )
    return [rows.read(Member, row) for row in found.mappings()]


def _problems(connection: Connection, row: User, before: User | None) -> Iterable[Problem]:
    if row.email is not None and (before is None or before.email != row.email):
        others = [each.id for each in users.get_by_email(connection, row.email) if each.id != row.id]
        if others:
            yield Problem("user_email", f"is taken: `{row.email}` is the user {others[0]}")
    yield from limits.problems(connection, row)
