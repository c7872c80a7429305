"""A database as LiteLLM has it, in a real PostgreSQL: tables of the schema that it ships, rows as it writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from tests.kit.prisma import litellm_schema, models

KEYS, TEAMS, USERS = "LiteLLM_VerificationToken", "LiteLLM_TeamTable", "LiteLLM_UserTable"
BUDGETS, MEMBERS, EARLIER = "LiteLLM_BudgetTable", "LiteLLM_TeamMembership", "LiteLLM_DeprecatedVerificationToken"
WINDOWS, LOG = "LiteLLM_BudgetWindowSpend", "LiteLLM_SpendLogs"
ALL = (
    KEYS, TEAMS, USERS, BUDGETS, MEMBERS, EARLIER, WINDOWS, LOG, "LiteLLM_OrganizationTable", "LiteLLM_EndUserTable",
    "LiteLLM_TagTable", "LiteLLM_ProjectTable", "LiteLLM_JWTKeyMapping", "LiteLLM_PolicyAttachmentTable",
    "LiteLLM_OrganizationMembership", "LiteLLM_ModelAccessGroupBudgetTable",
)  # fmt: skip

# What versions of 2024 and 2025 did not have yet.
RECENT: Mapping[str, frozenset[str]] = {
    KEYS: frozenset(
        (
                         "total_spend",             "tpd_limit",             "key_type",             "budget_limits",
            "router_settings",             "budget_fallbacks",             "policies",             "access_group_ids",
            "agent_id",             "project_id",             "settings_updated_at",             "last_active",
            "rotation_count",             "auto_rotate",             "rotation_interval",
            "last_rotation_at",             "key_rotation_at",             "object_permission_id",
            "allowed_routes",             "created_by",             "updated_by",             "organization_id",
        )
    ),
    TEAMS: frozenset(
        (
                         "tpd_limit",             "soft_budget",             "router_settings",             "policies",
            "access_group_ids",             "default_team_member_models",             "budget_limits",
            "allow_team_guardrail_config",             "object_permission_id",             "team_member_permissions",
        )
    ),
    USERS: frozenset(
        (
            "policies", "object_permission_id", "password_reset_required", "last_breach_check_at"
        )
    ),
    BUDGETS: frozenset(
        (
            "tpd_limit", "allowed_models", "temp_budget_increase", "temp_budget_expiry"
        )
    ),
    MEMBERS: frozenset({"total_spend"}),
}  # fmt: skip
OLD = (KEYS, TEAMS, USERS, BUDGETS, MEMBERS, LOG, "LiteLLM_OrganizationTable", "LiteLLM_EndUserTable")


def hashed(key: str) -> str:
    """As ``litellm.proxy._types.hash_token``, which a test compares."""
    return sha256(key.encode()).hexdigest()


def now() -> datetime:
    """As LiteLLM stores it: UTC, without a zone, in milliseconds."""
    at = datetime.now(UTC).replace(tzinfo=None)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def later(**time: float) -> datetime:
    return now() + timedelta(**time)


class LiteLLMDatabase:
    """``old``: of a version before most of what is asked for."""

    def __init__(self, url: str, *, old: bool = False) -> None:
        self.url = url
        known = models(litellm_schema())
        for table in OLD if old else ALL:
            self.execute(known[table].ddl(RECENT.get(table, ()) if old else ()))

    def key(self, key: str, **columns: Any) -> str:
        """Its hash."""
        token = hashed(key)
        self.add(KEYS, token=token, key_name=f"sk-...{key[-4:]}", **columns)
        return token

    def add(self, table: str, **columns: Any) -> None:
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join(sql.Placeholder() * len(columns)),
        )
        self.execute(statement, [_value(each) for each in columns.values()])

    def change(self, table: str, where: Mapping[str, str], **columns: Any) -> None:
        ((name, value),) = where.items()
        parts = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(each)) for each in columns)
        statement = sql.SQL("UPDATE {} SET {} WHERE {} = %s").format(sql.Identifier(table), parts, sql.Identifier(name))
        self.execute(statement, [*(_value(each) for each in columns.values()), value])

    def execute(self, statement: Any, values: list[Any] | None = None) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement, values)


def _value(value: Any) -> Any:
    return Jsonb(value, dumps=json.dumps) if isinstance(value, dict) or _is_objects(value) else value


def _is_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)
