"""Members of teams: users with a share of a team's budget."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from aiops.state.administration import journal, limits, users
from aiops.state.administration.journal import Actor, Done
from aiops.state.administration.request import Invalid, Problem, Unknown, said
from aiops.state.administration.requests import Member as Named
from aiops.state.administration.requests import MemberRequest
from aiops.state.store import teams
from aiops.state.store.rows import Member, Team


def get(connection: Connection, team: Team, user: str) -> Member:
    """Raises Unknown."""
    found = teams.member(connection, team.id, user)
    if found is None:
        there = [each.user_id for each in teams.members(connection, [team.id])]
        raise Unknown(f"member of team {team.alias or team.id}", user, there)
    return found


def add(
    connection: Connection, team: Team, named: Named, asked: MemberRequest | None = None, *, by: Actor
) -> Done[Member]:
    """A user who is not known yet becomes known. Raises Invalid with every problem."""
    asked = asked or MemberRequest()
    values = {"role": named.role, **asked.given()}
    row = replace(Member(team_id=team.id, user_id=named.user_id), **values)
    problems = [*limits.problems(connection, row)]
    if teams.member(connection, team.id, named.user_id) is not None:
        problems.append(Problem("user_id", f"`{named.user_id}` is in the team already"))
    if problems:
        raise Invalid(problems)
    users.known(connection, named.user_id, by)
    return journal.add(connection, row, by, "teams add-member")


def change(connection: Connection, row: Member, asked: MemberRequest, by: Actor) -> Done[Member]:
    """Raises Invalid with every problem."""
    values = asked.given()
    if said(asked.role, None) is None:
        values.pop("role", None)
    problems = [*limits.problems(connection, replace(row, **values))]
    if problems:
        raise Invalid(problems)
    return journal.change(connection, row, values, by, "teams update-member")


def remove(connection: Connection, team: Team, user: str, by: Actor) -> int:
    """Their keys stay with the team. Raises Unknown; the number of the change."""
    return journal.remove(connection, get(connection, team, user), by, "teams remove-member")
