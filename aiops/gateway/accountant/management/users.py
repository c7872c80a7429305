"""``/user/*``"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, func, select

from aiops.gateway.accountant.management.asked import Asked, texts
from aiops.gateway.accountant.management.errors import missing
from aiops.state.administration import keys, listing, members, users, view
from aiops.state.administration.request import UNSET, Invalid, Problem, said
from aiops.state.administration.requests import KeyRequest, Member, UserRequest
from aiops.state.store import rows, tables
from aiops.state.store import teams as stored_teams
from aiops.state.store import users as stored

Json = dict[str, Any]
# Of a key that is made with the user; the rest is the user's.
_OF_THE_KEY = ("key_alias", "duration")


def new(asked: Asked) -> Json:
    """With a key, unless ``auto_create_key`` is false; limits and budget are the user's, over all their keys."""
    for_key = {name: asked.given[name] for name in _OF_THE_KEY if asked.given.get(name) is not None}
    request = UserRequest.of(asked.without(*_OF_THE_KEY))
    auto = request.auto_create_key is UNSET or said(request.auto_create_key, True)
    if for_key and not auto:
        raise Invalid(Problem(name, "is of a key, and `auto_create_key` is false") for name in for_key)
    row = users.create(asked.connection, request, asked.by).row
    for team in said(request.teams, None) or ():
        _join(asked, team, row.id)
    shown = view.user(asked.connection, row, asked.now)
    if not auto:
        return {**shown, "key": "", "token": None, "token_id": None, "key_name": None, "expires": None}
    made = keys.create(asked.connection, KeyRequest.of({**for_key, "user_id": row.id}), asked.by)
    return {**view.made(asked.connection, made, asked.now), **shown}


def update(asked: Asked) -> Json:
    """``user_id`` says who; without it ``user_email`` does."""
    id = asked.one("user_id", str)
    row = _user(asked, id) if id is not None else _of_email(asked)
    request = UserRequest.of(asked.without("user_id") if id is not None else asked.without("user_id", "user_email"))
    if request.auto_create_key is not UNSET or request.teams is not UNSET:
        raise Invalid([Problem("teams", "is changed by /team/member_add and /team/member_delete")])
    done = users.change(asked.connection, row, request, asked.by)
    return {"user_id": row.id, "data": view.user(asked.connection, done.row, asked.now)}


def info(asked: Asked) -> Json:
    asked.only("user_id")
    row = _user(asked, asked.need("user_id", str))
    teams = [stored_teams.get(asked.connection, each.team_id) for each in users.memberships(asked.connection, row.id)]
    found = view.keys(asked.connection, listing.of_user(asked.connection, row.id), asked.now)
    for each in found:
        del each["token"]
    return {
        "user_id": row.id,
        "user_info": view.user(asked.connection, row, asked.now),
        "keys": found,
        "teams": [view.team(asked.connection, each, asked.now) for each in teams if each is not None],
    }


_REFUSED_FILTERS = {
    "role": "write `user_ids`",
    "sort_by": "users come by `created_at`, the newest first",
    "sso_user_ids": "nobody logs in here",
    "team": "/team/info has the members of a team",
    "organization_ids": "teams are the only level above keys",
}


def listed(asked: Asked) -> Json:
    asked.only("user_ids", "user_email", "page", "page_size", refused=_REFUSED_FILTERS)
    number, size = asked.page("page_size", otherwise=25)
    table = tables.users
    where: list[ColumnElement[bool]] = []
    if (ids := asked.one("user_ids", str)) is not None:
        where.append(table.c.id.in_([each.strip() for each in ids.split(",")]))
    if (email := asked.one("user_email", str)) is not None:
        where.append(table.c.email.icontains(email, autoescape=True))
    newest = select(table).where(*where).order_by(table.c.created_at.desc(), table.c.id.desc())
    total = asked.connection.scalar(select(func.count()).select_from(table).where(*where)) or 0
    page = [
        rows.read(rows.User, each)
        for each in asked.connection.execute(newest.limit(size).offset((number - 1) * size)).mappings()
    ]
    return {
        "users": [
            {
                **view.user(asked.connection, row, asked.now),
                "key_count": listing.count(asked.connection, listing.Wanted(user=row.id)),
            }
            for row in page
        ],
        "total": total,
        "page": number,
        "page_size": size,
        "total_pages": -(-total // size),
    }


def delete(asked: Asked) -> int:
    """All of them or none; their keys are revoked. How many, as LiteLLM has it."""
    asked.only("user_ids")
    found = [_user(asked, each) for each in asked.need("user_ids", texts)]
    for row in found:
        users.delete(asked.connection, row, asked.by)
    return len(found)


def _join(asked: Asked, team: str, user: str) -> None:
    found = stored_teams.get(asked.connection, team)
    if found is None:
        raise Invalid([Problem("teams", f"names no team: there is no `{team}`")])
    members.add(asked.connection, found, Member(user_id=user), by=asked.by)


def _user(asked: Asked, id: str) -> rows.User:
    found = stored.get(asked.connection, id)
    if found is None:
        raise missing(f"User {id[:200]} not found", "user_id")
    return found


def _of_email(asked: Asked) -> rows.User:
    return users.get(asked.connection, asked.need("user_email", str))
