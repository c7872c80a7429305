"""What may be said of a key, a team, a user, a member and a budget: LiteLLM's fields, and why the others are refused.

A few fields are aiops' own and bear no name of LiteLLM's: ``shadow``, ``weight``, ``admin``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from aiops.state.administration import readers
from aiops.state.administration.readers import Budgets
from aiops.state.administration.request import Given, Request, read_by
from aiops.state.administration.routes import routes

_count = readers.optional(readers.count)

KEY_TYPES = {
    "default": (),
    "llm_api": ("llm_api_routes",),
    "management": ("management_routes",),
    "read_only": ("info_routes",),
}
"""LiteLLM's kinds of keys, and the routes each is held to."""

USER_ROLES = ("proxy_admin", "proxy_admin_viewer", "internal_user", "internal_user_viewer")

_NO_DAYS = "there is no limit of tokens a day; `budget_limits` of 1d bound what a day costs"
_NO_GUARDRAILS = "aiops runs no guardrails"
_NO_ROTATION = "`aiops keys rotate` by a timer does it, and tells the new key to whoever runs it"
_NO_ORGANIZATIONS = "teams are the only level above keys"
_NO_SERVERS = "this gateway serves models only"
_NO_TEMPORARY = "raise `max_budget`, and lower it again"

_OF_LITELLM: Mapping[str, str] = {
    "agent_id": _NO_SERVERS,
    "aliases": "model names are the gateway's: write a rule into model-mappings.yaml",
    "model_aliases": "model names are the gateway's: write a rule into model-mappings.yaml",
    "allowed_cache_controls": "there is no cache to control",
    "config": "a key changes nothing of how requests are answered",
    "permissions": "LiteLLM's switches of its own features have no effect here",
    "budget_fallbacks": "nobody else is asked when a budget is spent",
    "mcp_rpm_limit": _NO_SERVERS,
    "tag_rpm_limit": "limits are counted for keys, teams, users and models",
    "guardrails": _NO_GUARDRAILS,
    "disable_global_guardrails": _NO_GUARDRAILS,
    "policies": _NO_GUARDRAILS,
    "prompts": "prompts are not kept here",
    "object_permission": _NO_SERVERS,
    "tpd_limit": _NO_DAYS,
    "default_estimated_output_tokens": "what a request may cost is reckoned from its own `max_tokens`",
    "default_estimated_output_tokens_per_model": "what a request may cost is reckoned from its own `max_tokens`",
    "end_user_budget_id": "end users are counted, and not limited",
    "enable_prompt_caching": "providers cache prompts by themselves",
    "throttle_on_budget_exceeded": "who has spent the budget is refused; `shadow: true` only tells",
    "enforced_params": "parameters are not required of requests",
    "allowed_passthrough_routes": "`gateway.expose` opens them for all keys",
    "denied_passthrough_routes": "`gateway.expose` opens them for all keys",
    "allowed_vector_store_indexes": _NO_SERVERS,
    "rpm_limit_type": "a limit is never shared out: what is set is what holds",
    "tpm_limit_type": "a limit is never shared out: what is set is what holds",
    "router_settings": "routing is the gateway's: `aiops route`",
    "access_group_ids": "`models` takes names and patterns such as gpt-*",
    "send_invite_email": "aiops sends no mail",
    "auto_rotate": _NO_ROTATION,
    "rotation_interval": _NO_ROTATION,
    "organization_id": _NO_ORGANIZATIONS,
    "organizations": _NO_ORGANIZATIONS,
    "project_id": _NO_ORGANIZATIONS,
    "temp_budget_increase": _NO_TEMPORARY,
    "temp_budget_expiry": _NO_TEMPORARY,
    "secret_manager_settings": "keys are kept in no secret manager",
    "logging": "what is logged is the gateway's: aiops.yaml",
}

METADATA_WITH_EFFECT = ("tags", "model_rpm_limit", "model_tpm_limit")
"""What LiteLLM keeps in `metadata`, and acts on: here these are fields, wherever they were written."""


@dataclass(frozen=True, kw_only=True)
class Limited(Request):
    """What each of them may be limited by. Money in nano-dollars, as in the tables."""

    refused: ClassVar[Mapping[str, str]] = _OF_LITELLM

    rpm_limit: Given[int | None] = read_by(_count)
    tpm_limit: Given[int | None] = read_by(_count)
    max_parallel_requests: Given[int | None] = read_by(_count)
    max_budget: Given[int | None] = read_by(readers.dollars)
    budget_duration: Given[str | None] = read_by(readers.duration)
    budget_limits: Given[Budgets | None] = read_by(readers.budgets)
    soft_budget: Given[int | None] = read_by(readers.dollars)
    model_rpm_limit: Given[dict[str, int] | None] = read_by(readers.counts)
    model_tpm_limit: Given[dict[str, int] | None] = read_by(readers.counts)
    model_max_budget: Given[dict[str, Budgets] | None] = read_by(readers.model_budgets)

    @classmethod
    def arranged(cls, plain: Mapping[str, Any]) -> Mapping[str, Any]:
        """What has an effect is taken out of the metadata; what would have one at LiteLLM only is refused there."""
        metadata = plain.get("metadata")
        if not isinstance(metadata, Mapping):
            return plain
        known = cls.__dataclass_fields__.keys()
        moved = {name: metadata[name] for name in METADATA_WITH_EFFECT if name in metadata and name in known}
        no_effect = {name: value for name, value in metadata.items() if name in cls.refused and name not in known}
        rest = {name: value for name, value in metadata.items() if name not in moved.keys() | no_effect.keys()}
        return {**moved, **no_effect, **plain, "metadata": rest}


@dataclass(frozen=True, kw_only=True)
class AccountRequest(Limited):
    """Of whoever money and limits are counted for. ``spend``: nano-dollars that count as spent."""

    budget_id: Given[str | None] = read_by(readers.name)
    models: Given[tuple[str, ...] | None] = read_by(readers.names)
    blocked: Given[bool] = read_by(readers.flag)
    shadow: Given[bool] = read_by(readers.flag)
    metadata: Given[dict[str, Any] | None] = read_by(readers.metadata)
    spend: Given[int | None] = read_by(readers.dollars, column=False)


@dataclass(frozen=True, kw_only=True)
class KeyRequest(AccountRequest):
    """``key``: one that the caller made. ``lifetime``: seconds from now, None: for ever."""

    key: Given[str | None] = read_by(readers.own_key, column=False)
    alias: Given[str | None] = read_by(readers.name, "key_alias")
    lifetime: Given[int | None] = read_by(readers.lifetime, "duration", column=False)
    team_id: Given[str | None] = read_by(readers.name)
    user_id: Given[str | None] = read_by(readers.name)
    tags: Given[tuple[str, ...] | None] = read_by(readers.names)
    allowed_routes: Given[tuple[str, ...] | None] = read_by(routes)
    key_type: Given[str | None] = read_by(readers.optional(readers.one_of(*KEY_TYPES)))
    admin: Given[bool] = read_by(readers.flag)
    weight: Given[float] = read_by(readers.share)


@dataclass(frozen=True)
class Member:
    """Who is to be in a team."""

    user_id: str
    role: str = "user"


def members(value: Any) -> tuple[Member, ...]:
    """``[{"role": "user", "user_id": "alice"}]``, or one of them."""
    found = value if isinstance(value, list | tuple) else [value]
    return tuple(map(_member, found))


def _member(value: Any) -> Member:
    if not isinstance(value, Mapping):
        raise ValueError("is no {role, user_id}")
    user = readers.name(value.get("user_id"))
    if user is None and value.get("user_email"):
        raise ValueError("names a member by `user_email` alone: write `user_id`")
    if user is None:
        raise ValueError("has a member without `user_id`")
    return Member(user_id=user, role=readers.one_of("user", "admin")(value.get("role") or "user"))


@dataclass(frozen=True, kw_only=True)
class TeamRequest(AccountRequest):
    """``member_*``: what each member is held to who has no budget of their own."""

    refused: ClassVar[Mapping[str, str]] = {
        **_OF_LITELLM,
        "tags": "tags are of keys and of requests",
        "admins": "write them into `members_with_roles`",
        "members": "write them into `members_with_roles`",
        "team_member_permissions": "members have no rights over their team",
        "team_member_key_duration": "`duration` of a key says how long it lives",
        "default_team_member_models": "`allowed_models` of a member holds one of them to models",
        "enforced_batch_output_expires_after": _NO_SERVERS,
        "enforced_file_expires_after": _NO_SERVERS,
        "allow_team_guardrail_config": _NO_GUARDRAILS,
    }

    id: Given[str | None] = read_by(readers.name, "team_id", column=False)
    alias: Given[str | None] = read_by(readers.name, "team_alias")
    members: Given[tuple[Member, ...]] = read_by(members, "members_with_roles", column=False)
    member_budget: Given[int | None] = read_by(readers.dollars, "team_member_budget", column=False)
    member_budget_duration: Given[str | None] = read_by(readers.duration, "team_member_budget_duration", column=False)
    member_rpm_limit: Given[int | None] = read_by(_count, "team_member_rpm_limit", column=False)
    member_tpm_limit: Given[int | None] = read_by(_count, "team_member_tpm_limit", column=False)


@dataclass(frozen=True, kw_only=True)
class UserRequest(AccountRequest):
    """``teams``: which they are made a member of."""

    refused: ClassVar[Mapping[str, str]] = {
        **_OF_LITELLM,
        "tags": "tags are of keys and of requests",
        "key_alias": "make the key by /key/generate",
        "team_id": "write `teams`",
        "duration": "users do not expire; keys do",
        "password": "nobody logs in here",
        "sso_user_id": "nobody logs in here",
    }

    id: Given[str | None] = read_by(readers.name, "user_id", column=False)
    email: Given[str | None] = read_by(readers.name, "user_email")
    alias: Given[str | None] = read_by(readers.name, "user_alias")
    role: Given[str | None] = read_by(readers.optional(readers.one_of(*USER_ROLES)), "user_role")
    teams: Given[tuple[str, ...] | None] = read_by(readers.names, column=False)
    auto_create_key: Given[bool] = read_by(readers.flag, column=False)


@dataclass(frozen=True, kw_only=True)
class BudgetRequest(Limited):
    refused: ClassVar[Mapping[str, str]] = {
        **_OF_LITELLM,
        "budget_reset_at": "windows begin with the calendar: it follows from `budget_duration`",
        "allowed_models": "`models` are of keys, teams and users",
    }

    id: Given[str | None] = read_by(readers.name, "budget_id", column=False)


@dataclass(frozen=True, kw_only=True)
class MemberRequest(Limited):
    """Of one member: what they may spend of the team's, and which of its models they may ask."""

    max_budget: Given[int | None] = read_by(readers.dollars, "max_budget_in_team")
    models: Given[tuple[str, ...] | None] = read_by(readers.names, "allowed_models")
    role: Given[str] = read_by(readers.one_of("user", "admin"))
