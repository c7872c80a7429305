"""Rows of teams and of their members."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from aiops.state.store import changes, rows, writing
from aiops.state.store.changes import member_id, member_of
from aiops.state.store.rows import Member, Team
from aiops.state.store.tables import team_members, teams

__all__ = ["member_id", "member_of"]


def get(connection: Connection, id: str) -> Team | None:
    return writing.one(connection, Team, teams, {"id": id})


def get_by_alias(connection: Connection, alias: str) -> list[Team]:
    """An alias may be that of several."""
    found = connection.execute(teams.select().where(teams.c.alias == alias).order_by(teams.c.id)).mappings()
    return [rows.read(Team, row) for row in found]


def page(connection: Connection, *, size: int = 100, user_id: str = "") -> list[Team]:
    """The newest first; of ``user_id``: those that user is a member of."""
    of = select(team_members.c.team_id).where(team_members.c.user_id == user_id)
    return writing.newest(connection, Team, teams, size, *([teams.c.id.in_(of)] if user_id else []))


def add(connection: Connection, team: Team) -> Team:
    """The row as it is now. Raises ``writing.Exists``."""
    changes.note(connection, "team", team.id)
    return writing.add(connection, teams, team)


def replace(connection: Connection, team: Team) -> Team:
    """Write ``team`` over the row whose version it has; the row as it is now. Raises ``writing.Stale``."""
    changes.note(connection, "team", team.id)
    return writing.replace(connection, teams, team)


def remove(connection: Connection, id: str) -> bool:
    """The row and its members; whether it was there. What becomes of its keys is the caller's."""
    changes.note(connection, "team", id)
    connection.execute(team_members.delete().where(team_members.c.team_id == id))
    return writing.remove(connection, teams, id=id)


def members(connection: Connection, ids: Sequence[str]) -> list[Member]:
    """Of these teams, in the order of teams and users."""
    statement = team_members.select().where(team_members.c.team_id.in_(ids))
    found = connection.execute(statement.order_by(team_members.c.team_id, team_members.c.user_id)).mappings()
    return [rows.read(Member, row) for row in found]


def member(connection: Connection, team: str, user: str) -> Member | None:
    return writing.one(connection, Member, team_members, {"team_id": team, "user_id": user})


def add_member(connection: Connection, member: Member) -> Member:
    """Raises ``writing.Exists``."""
    changes.note(connection, "member", member_id(member.team_id, member.user_id))
    return writing.add(connection, team_members, member)


def replace_member(connection: Connection, member: Member) -> Member:
    """Raises ``writing.Stale``."""
    changes.note(connection, "member", member_id(member.team_id, member.user_id))
    return writing.replace(connection, team_members, member)


def remove_member(connection: Connection, team: str, user: str) -> bool:
    changes.note(connection, "member", member_id(team, user))
    return writing.remove(connection, team_members, team_id=team, user_id=user)


def add_many(connection: Connection, many: Sequence[Team], of_them: Sequence[Member] = ()) -> None:
    """As they are, with the times that they have: an import. Raises ``writing.Exists``."""
    changes.note(connection, "all", "")
    writing.add_many(connection, teams, many)
    writing.add_many(connection, team_members, of_them)
