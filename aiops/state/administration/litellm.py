"""Rows in the shapes of LiteLLM's API: its names, dollars as floats, times as ISO 8601, and a null for what is unset.

Fields of LiteLLM that nothing here stands behind are there with the value that says so: clients read them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aiops.state import money, windows
from aiops.state.administration.spend import Spent
from aiops.state.store.clock import SECOND
from aiops.state.store.rows import Budget, BudgetLimit, Counted, Key, Limited, Member, Team, User

Json = dict[str, Any]


def key(row: Key, token: str | None, spent: Spent, lent: Budget | None, now: float) -> Json:
    """``LiteLLM_VerificationToken``. ``token``: the hash. ``now``: seconds since 1970."""
    return {
        "token": token,
        "key_name": row.name,
        "key_alias": row.alias,
        **_spending(row, spent, now),
        **_limits(row, now),
        "models": [*(row.models or ())],
        "expires": when(row.expires_at),
        "user_id": row.user_id,
        "team_id": row.team_id,
        "budget_id": row.budget_id,
        "litellm_budget_table": budget(lent, now) if lent is not None else None,
        "allowed_routes": [*(row.allowed_routes or ())],
        "key_type": row.key_type,
        "blocked": row.blocked or None,
        "metadata": _metadata(row, row.tags),
        "tags": [*(row.tags or ())],
        "aliases": {},
        "config": {},
        "permissions": {},
        "model_spend": {},
        "budget_fallbacks": {},
        "allowed_cache_controls": [],
        "soft_budget_cooldown": False,
        "agent_id": None,
        "project_id": None,
        "org_id": None,
        "organization_id": None,
        "object_permission_id": None,
        "object_permission": None,
        "access_group_ids": [],
        "router_settings": {},
        "auto_rotate": False,
        "rotation_count": 0,
        "rotation_interval": None,
        "last_rotation_at": None,
        "key_rotation_at": None,
        "last_active": None,
        "settings_updated_at": when(row.updated_at),
        **_written(row),
        "admin": row.admin,
        "shadow": row.shadow,
        "weight": row.weight,
    }


def generated(row: Key, plain: str, token: str, spent: Spent, lent: Budget | None, now: float) -> Json:
    """``GenerateKeyResponse``: the only one that has the key itself."""
    return {**key(row, token, spent, lent, now), "key": plain, "token_id": token, "duration": None}


def status(row: Key, now: float) -> str:
    """LiteLLM's word."""
    if row.revoked_at is not None:
        return "deleted"
    if row.blocked:
        return "revoked"
    return "expired" if row.expires_at is not None and row.expires_at <= now * SECOND else "active"


def team(row: Team, members: Sequence[Member], spent: Spent, lent: Budget | None, now: float) -> Json:
    """``LiteLLM_TeamTable``."""
    return {
        "team_id": row.id,
        "team_alias": row.alias,
        "organization_id": None,
        "admins": [each.user_id for each in members if each.role == "admin"],
        "members": [each.user_id for each in members],
        "members_with_roles": [{"user_id": each.user_id, "user_email": None, "role": each.role} for each in members],
        "team_member_permissions": [],
        **_spending(row, spent, now),
        **_limits(row, now),
        "models": [*(row.models or ())],
        "blocked": row.blocked,
        "metadata": {
            **_metadata(row),
            **({"team_member_budget_id": row.member_budget_id} if row.member_budget_id is not None else {}),
        },
        "budget_id": row.budget_id,
        "litellm_budget_table": budget(lent, now) if lent is not None else None,
        "model_id": None,
        "litellm_model_table": None,
        "model_spend": {},
        "policies": [],
        "allow_team_guardrail_config": False,
        "object_permission": None,
        "object_permission_id": None,
        "access_group_ids": [],
        "default_team_member_models": [],
        "router_settings": None,
        **_written(row),
        "shadow": row.shadow,
    }


def membership(row: Member, spent: Spent, lent: Budget | None, now: float) -> Json:
    """``LiteLLM_TeamMembership``. Limits of a member alone are a budget without an id of its own."""
    own: Mapping[str, Any] = {"budget_id": None, **_limits(row, now), "allowed_models": [*(row.models or ())]}
    return {
        "user_id": row.user_id,
        "team_id": row.team_id,
        "budget_id": row.budget_id,
        "spend": money.dollars(spent.window),
        "total_spend": money.dollars(spent.total),
        "litellm_budget_table": budget(lent, now) if lent is not None else own,
    }


def user(row: User, teams: Sequence[str], spent: Spent, lent: Budget | None, now: float) -> Json:
    """``LiteLLM_UserTable``."""
    return {
        "user_id": row.id,
        "user_alias": row.alias,
        "user_email": row.email,
        "user_role": row.role,
        "teams": [*teams],
        "team_id": None,
        "organization_id": None,
        "organization_memberships": [],
        "sso_user_id": None,
        **_spending(row, spent, now),
        **_limits(row, now),
        "models": [*(row.models or ())],
        "metadata": _metadata(row),
        "budget_id": row.budget_id,
        "litellm_budget_table": budget(lent, now) if lent is not None else None,
        "allowed_cache_controls": [],
        "policies": [],
        "model_spend": {},
        "object_permission": None,
        "object_permission_id": None,
        **_written(row),
        "shadow": row.shadow,
    }


def budget(row: Budget, now: float) -> Json:
    """``LiteLLM_BudgetTableFull``."""
    return {"budget_id": row.id, **_limits(row, now), **_written(row)}


def when(microseconds: int | None) -> str | None:
    if microseconds is None:
        return None
    return _iso(microseconds / SECOND)


def dollars(nanos: int | None) -> float | None:
    return None if nanos is None else money.dollars(nanos)


def _spending(row: Counted, spent: Spent, now: float) -> Json:
    return {"spend": money.dollars(spent.window), "total_spend": money.dollars(spent.total)}


def _limits(row: Limited, now: float) -> Json:
    return {
        "max_budget": dollars(row.max_budget),
        "soft_budget": dollars(row.soft_budget),
        "budget_duration": row.budget_duration,
        "budget_reset_at": _resets(row.budget_duration, now),
        "budget_limits": [_window(each, now) for each in row.budget_limits] if row.budget_limits else None,
        "tpm_limit": row.tpm_limit,
        "rpm_limit": row.rpm_limit,
        "tpd_limit": None,
        "max_parallel_requests": row.max_parallel_requests,
        "model_max_budget": {model: _of_a_model(each) for model, each in (row.model_max_budget or {}).items()},
        "model_rpm_limit": dict(row.model_rpm_limit) if row.model_rpm_limit else None,
        "model_tpm_limit": dict(row.model_tpm_limit) if row.model_tpm_limit else None,
    }


def _window(limit: BudgetLimit, now: float) -> Json:
    return {**_limit(limit), "reset_at": _resets(limit.budget_duration, now)}


def _of_a_model(several: Sequence[BudgetLimit]) -> Json | list[Json]:
    found = [_limit(each) for each in several]
    return found[0] if len(found) == 1 else found


def _limit(limit: BudgetLimit) -> Json:
    return {"budget_duration": limit.budget_duration, "max_budget": money.dollars(limit.max_budget)}


def _metadata(row: Limited, tags: Sequence[str] | None = None) -> Json:
    """As LiteLLM keeps it: with limits of models, and tags."""
    more: Json = {"model_rpm_limit": row.model_rpm_limit, "model_tpm_limit": row.model_tpm_limit, "tags": tags}
    return {**(row.metadata or {}), **{name: value for name, value in more.items() if value}}


def _written(row: Limited) -> Json:
    return {
        "created_at": when(row.created_at),
        "created_by": row.created_by,
        "updated_at": when(row.updated_at),
        "updated_by": row.updated_by,
    }


def _resets(duration: str | None, now: float) -> str | None:
    ends = windows.window(duration, now).ends
    return None if ends is None else _iso(ends)


def _iso(seconds: float) -> str:
    at = datetime.fromtimestamp(seconds, UTC)
    return at.isoformat(timespec="milliseconds" if at.microsecond else "seconds").replace("+00:00", "Z")
