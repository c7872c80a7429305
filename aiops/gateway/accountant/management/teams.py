"""``/team/*``"""

from __future__ import annotations

from typing import Any

from aiops.gateway.accountant.management.asked import Asked, texts
from aiops.gateway.accountant.management.errors import missing
from aiops.state.administration import members, requests, teams, users, view
from aiops.state.administration.litellm import dollars
from aiops.state.administration.request import Invalid, Problem
from aiops.state.administration.requests import MemberRequest, TeamRequest
from aiops.state.store import rows
from aiops.state.store import teams as stored

Json = dict[str, Any]
_NO_ORGANIZATIONS = {"organization_id": "teams are the only level above keys"}
MOST = 10_000


def new(asked: Asked) -> Json:
    return view.team(
        asked.connection, teams.create(asked.connection, TeamRequest.of(asked.given), asked.by).row, asked.now
    )


def update(asked: Asked) -> Json:
    row = _team(asked)
    done = teams.change(asked.connection, row, TeamRequest.of(asked.without("team_id")), asked.by)
    return {"team_id": row.id, "data": view.team(asked.connection, done.row, asked.now)}


def info(asked: Asked) -> Json:
    asked.only("team_id")
    row = _team(asked)
    return {
        "team_id": row.id,
        "team_info": view.team(asked.connection, row, asked.now),
        "keys": view.keys_of_team(asked.connection, row.id, asked.now),
        "team_memberships": view.memberships(asked.connection, row, asked.now),
    }


def listed(asked: Asked) -> list[Json]:
    """All of them, as LiteLLM has it; /v2/team/list has pages."""
    asked.only("user_id", refused=_NO_ORGANIZATIONS)
    found = stored.page(asked.connection, size=MOST, user_id=asked.one("user_id", str) or "")
    shown = [
        {
            **view.team(asked.connection, row, asked.now),
            "keys": view.keys_of_team(asked.connection, row.id, asked.now),
            "team_memberships": view.memberships(asked.connection, row, asked.now),
        }
        for row in found
    ]
    return sorted(shown, key=lambda team: team["team_alias"] or "")


def paged(asked: Asked) -> Json:
    refused = {
        **_NO_ORGANIZATIONS,
        "sort_by": "teams come by `created_at`, the newest first",
        "status": "deleted teams are not kept",
    }
    asked.only("user_id", "team_id", "team_alias", "page", "page_size", refused=refused)
    number, size = asked.page("page_size")
    alias, id = asked.one("team_alias", str), asked.one("team_id", str)
    found = [
        row
        for row in stored.page(asked.connection, size=MOST, user_id=asked.one("user_id", str) or "")
        if (id is None or row.id == id) and (alias is None or alias.lower() in (row.alias or "").lower())
    ]
    page = found[(number - 1) * size : number * size]
    return {
        "teams": [view.team(asked.connection, row, asked.now) for row in page],
        "total": len(found),
        "page": number,
        "page_size": size,
        "total_pages": -(-len(found) // size),
    }


def delete(asked: Asked) -> list[Json]:
    """All of them or none; their keys are revoked."""
    asked.only("team_ids")
    found = [_called(asked, each) for each in asked.need("team_ids", texts)]
    shown = [view.team(asked.connection, row, asked.now) for row in found]
    for row in found:
        teams.delete(asked.connection, row, asked.by)
    return shown


def block(asked: Asked) -> Json:
    return _block(asked, True)


def unblock(asked: Asked) -> Json:
    return _block(asked, False)


def member_add(asked: Asked) -> Json:
    """One member, or a list of them; all or none."""
    row = _team(asked)
    named = asked.need("member", requests.members)
    request = MemberRequest.of(asked.without("team_id", "member"))
    added = [members.add(asked.connection, row, each, request, by=asked.by).row for each in named]
    return {
        **view.team(asked.connection, row, asked.now),
        "updated_users": [
            view.user(asked.connection, users.get(asked.connection, each.user_id), asked.now) for each in added
        ],
        "updated_team_memberships": [view.membership(asked.connection, each, asked.now) for each in added],
    }


def member_update(asked: Asked) -> Json:
    row, user = _team(asked), _user(asked)
    request = MemberRequest.of(asked.without("team_id", "user_id", "user_email"))
    done = members.change(asked.connection, members.get(asked.connection, row, user), request, asked.by).row
    return {
        "team_id": row.id,
        "user_id": user,
        "user_email": None,
        "max_budget_in_team": dollars(done.max_budget),
        "budget_duration": done.budget_duration,
        "tpm_limit": done.tpm_limit,
        "rpm_limit": done.rpm_limit,
        "allowed_models": [*(done.models or ())],
        "temp_budget_increase": None,
        "temp_budget_expiry": None,
    }


def member_delete(asked: Asked) -> Json:
    asked.only("team_id", "user_id", "user_email")
    row = _team(asked)
    members.remove(asked.connection, row, _user(asked), asked.by)
    return view.team(asked.connection, row, asked.now)


def _block(asked: Asked, blocked: bool) -> Json:
    asked.only("team_id")
    return view.team(asked.connection, teams.block(asked.connection, _team(asked), asked.by, blocked).row, asked.now)


def _team(asked: Asked) -> rows.Team:
    return _called(asked, asked.need("team_id", str))


def _called(asked: Asked, id: str) -> rows.Team:
    found = stored.get(asked.connection, id)
    if found is None:
        raise missing(f"Team not found, passed team_id={id[:200]}", "team_id")
    return found


def _user(asked: Asked) -> str:
    user = asked.one("user_id", str)
    if user is None and (email := asked.one("user_email", str)) is not None:
        return users.get(asked.connection, email).id
    if user is None:
        raise Invalid([Problem("user_id", "is missing")])
    return user
