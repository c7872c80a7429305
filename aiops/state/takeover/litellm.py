"""LiteLLM's tables as they are read: a class for each, whose fields are the columns. PURE.

What has no default has to be there; all else came with some version, and may be missing. ``LEFT`` has the columns that
are not read, ``UNREAD`` the tables: a test compares all of it with LiteLLM's own schema, so that whatever a new version
brings is decided by somebody. Times are microseconds since 1970 UTC, money US dollars as LiteLLM's floats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

DASHBOARD = "litellm-dashboard"  # the team of keys that are sessions of its dashboard
WHOLE_GATEWAY = "litellm-proxy-budget"  # the user that stands for all that is spent

Json = Any
"""As it was parsed: somebody else's, and checked where it is used."""


@dataclass(frozen=True, kw_only=True)
class Key:
    TABLE: ClassVar = "LiteLLM_VerificationToken"

    token: str  # sha256 (hex) of the whole key
    key_name: str | None = None
    key_alias: str | None = None
    spend: float
    expires: int | None
    models: tuple[str, ...]
    aliases: Json = None
    config: Json = None
    router_settings: Json = None
    user_id: str | None
    team_id: str | None
    agent_id: str | None = None
    project_id: str | None = None
    permissions: Json = None
    max_parallel_requests: int | None
    metadata: Json
    blocked: bool | None = None
    tpm_limit: int | None
    rpm_limit: int | None
    tpd_limit: int | None = None
    max_budget: float | None
    budget_duration: str | None
    budget_reset_at: int | None
    allowed_cache_controls: tuple[str, ...] = ()
    allowed_routes: tuple[str, ...] = ()
    key_type: str | None = None
    policies: tuple[str, ...] = ()
    access_group_ids: tuple[str, ...] = ()
    model_max_budget: Json = None
    budget_fallbacks: Json = None
    budget_limits: Json = None
    budget_id: str | None = None
    organization_id: str | None = None
    object_permission_id: str | None = None
    created_at: int | None = None
    created_by: str | None = None
    updated_at: int | None = None
    updated_by: str | None = None
    auto_rotate: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Deprecated:
    """What a key was before it was rotated, valid until ``revoke_at``."""

    TABLE: ClassVar = "LiteLLM_DeprecatedVerificationToken"

    token: str
    active_token_id: str
    revoke_at: int


@dataclass(frozen=True, kw_only=True)
class Team:
    TABLE: ClassVar = "LiteLLM_TeamTable"

    team_id: str
    team_alias: str | None
    organization_id: str | None = None
    object_permission_id: str | None = None
    admins: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    members_with_roles: Json = None
    metadata: Json
    max_budget: float | None
    soft_budget: float | None = None
    spend: float
    models: tuple[str, ...]
    max_parallel_requests: int | None = None
    tpm_limit: int | None
    rpm_limit: int | None
    tpd_limit: int | None = None
    budget_duration: str | None
    budget_reset_at: int | None
    blocked: bool | None = None
    created_at: int | None = None
    updated_at: int | None = None
    model_max_budget: Json = None
    router_settings: Json = None
    team_member_permissions: tuple[str, ...] = ()
    access_group_ids: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    default_team_member_models: tuple[str, ...] = ()
    budget_limits: Json = None
    model_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class Membership:
    TABLE: ClassVar = "LiteLLM_TeamMembership"

    user_id: str
    team_id: str
    spend: float
    budget_id: str | None


@dataclass(frozen=True, kw_only=True)
class User:
    TABLE: ClassVar = "LiteLLM_UserTable"

    user_id: str
    user_alias: str | None = None
    organization_id: str | None = None
    object_permission_id: str | None = None
    teams: tuple[str, ...] = ()
    user_role: str | None
    max_budget: float | None
    spend: float
    user_email: str | None
    models: tuple[str, ...]
    metadata: Json = None
    max_parallel_requests: int | None
    tpm_limit: int | None
    rpm_limit: int | None
    budget_duration: str | None
    budget_reset_at: int | None
    allowed_cache_controls: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    model_max_budget: Json = None
    created_at: int | None = None
    updated_at: int | None = None


@dataclass(frozen=True, kw_only=True)
class Budget:
    TABLE: ClassVar = "LiteLLM_BudgetTable"

    budget_id: str
    max_budget: float | None
    soft_budget: float | None
    max_parallel_requests: int | None
    tpm_limit: int | None
    rpm_limit: int | None
    tpd_limit: int | None = None
    model_max_budget: Json = None
    budget_duration: str | None
    budget_reset_at: int | None
    allowed_models: tuple[str, ...] = ()
    temp_budget_increase: float | None = None
    temp_budget_expiry: int | None = None
    created_at: int | None = None
    created_by: str | None = None
    updated_at: int | None = None
    updated_by: str | None = None


@dataclass(frozen=True, kw_only=True)
class Organization:
    TABLE: ClassVar = "LiteLLM_OrganizationTable"

    organization_id: str
    organization_alias: str | None = None
    budget_id: str | None = None
    models: tuple[str, ...] = ()
    spend: float


@dataclass(frozen=True, kw_only=True)
class Customer:
    TABLE: ClassVar = "LiteLLM_EndUserTable"

    user_id: str
    alias: str | None = None
    spend: float
    budget_id: str | None = None
    blocked: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Tag:
    TABLE: ClassVar = "LiteLLM_TagTable"

    tag_name: str
    spend: float
    budget_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Project:
    TABLE: ClassVar = "LiteLLM_ProjectTable"

    project_id: str
    project_alias: str | None = None
    spend: float


@dataclass(frozen=True, kw_only=True)
class JwtMapping:
    TABLE: ClassVar = "LiteLLM_JWTKeyMapping"

    token: str
    jwt_claim_name: str
    is_active: bool | None = None


@dataclass(frozen=True, kw_only=True)
class WindowSpend:
    """What was spent in one of several budgets. ``entity_type``: ``key`` or ``team``."""

    TABLE: ClassVar = "LiteLLM_BudgetWindowSpend"

    entity_type: str
    entity_id: str
    window_duration: str
    window_start: int
    spend: float


NEEDED = (Key, Team, User, Budget, Membership)
"""Without these tables it is no database of LiteLLM."""
LATER = (Deprecated, Organization, Customer, Tag, Project, JwtMapping, WindowSpend)
"""Some version brought them."""


@dataclass(frozen=True, kw_only=True)
class Database:
    """All of it at one moment: ``now``, microseconds since 1970 UTC. ``source``: which database it is.

    ``rows_elsewhere``: how many the tables of ``COUNTED`` have. ``missing``: columns that this version does not have,
    as ``table.column``.
    """

    source: str
    now: int
    keys: tuple[Key, ...] = ()
    deprecated: tuple[Deprecated, ...] = ()
    teams: tuple[Team, ...] = ()
    memberships: tuple[Membership, ...] = ()
    users: tuple[User, ...] = ()
    budgets: tuple[Budget, ...] = ()
    organizations: tuple[Organization, ...] = ()
    customers: tuple[Customer, ...] = ()
    tags: tuple[Tag, ...] = ()
    projects: tuple[Project, ...] = ()
    jwt_mappings: tuple[JwtMapping, ...] = ()
    window_spends: tuple[WindowSpend, ...] = ()
    rows_elsewhere: Mapping[str, int] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


PLACES: Mapping[type, str] = {
    Key: "keys", Deprecated: "deprecated", Team: "teams", Membership: "memberships", User: "users", Budget: "budgets",
    Organization: "organizations", Customer: "customers", Tag: "tags", Project: "projects",
    JwtMapping: "jwt_mappings", WindowSpend: "window_spends",
}  # fmt: skip
"""Where ``Database`` has the rows of each class."""

_STATISTICS = "lifetime figures, which nothing is held to: reports begin anew here"
_BOOKKEEPING = "LiteLLM's own bookkeeping"
_UNUSED = "LiteLLM itself holds nobody to it"
_SIGN_IN = "of its dashboard, which people sign in to"
_PARENT = "its own limits are looked at, which a person is told of; the rest is not taken over"

LEFT: Mapping[str, Mapping[str, str]] = {
    Key.TABLE: {
        "soft_budget_cooldown": _BOOKKEEPING,
        "total_spend": _STATISTICS,
        "model_spend": _UNUSED,
        "settings_updated_at": _BOOKKEEPING,
        "last_active": _STATISTICS,
        "rotation_count": _BOOKKEEPING,
        "rotation_interval": "goes with auto_rotate, which is told",
        "last_rotation_at": _BOOKKEEPING,
        "key_rotation_at": "goes with auto_rotate, which is told",
    },
    Deprecated.TABLE: {"id": _BOOKKEEPING, "created_at": _BOOKKEEPING},
    Team.TABLE: {
        "model_spend": _UNUSED,
        "allow_team_guardrail_config": _SIGN_IN,
    },
    Membership.TABLE: {"total_spend": _STATISTICS},
    User.TABLE: {
        "team_id": "replaced by teams long ago",
        "sso_user_id": _SIGN_IN,
        "password": _SIGN_IN,
        "password_reset_required": _SIGN_IN,
        "last_breach_check_at": _SIGN_IN,
        "model_spend": _UNUSED,
    },
    Budget.TABLE: {},
    Organization.TABLE: dict.fromkeys(
        ("metadata", "model_spend", "object_permission_id", "created_at", "created_by", "updated_at", "updated_by"),
        _PARENT,
    ),
    Customer.TABLE: dict.fromkeys(("allowed_model_region", "default_model", "models", "object_permission_id"), _PARENT),
    Tag.TABLE: dict.fromkeys(
        ("description", "models", "model_info", "created_at", "created_by", "updated_at"), _PARENT
    ),
    Project.TABLE: dict.fromkeys(
        (
            "description", "team_id", "budget_id", "metadata", "models", "model_spend", "model_rpm_limit",
            "model_tpm_limit", "blocked", "object_permission_id", "created_at", "created_by", "updated_at",
            "updated_by",
        ),
        _PARENT,
    ),
    JwtMapping.TABLE: dict.fromkeys(
        (
            "id", "jwt_issuer", "jwt_claim_value", "description", "created_at", "created_by", "updated_at",
            "updated_by",
        ),
        _PARENT,
    ),
    WindowSpend.TABLE: {"created_at": _BOOKKEEPING, "updated_at": _BOOKKEEPING},
}  # fmt: skip
"""Columns that are not read, by table, and why."""

COUNTED = ("LiteLLM_ModelAccessGroupBudgetTable", "LiteLLM_OrganizationMembership", "LiteLLM_PolicyAttachmentTable")
"""Of these it is only looked whether they have rows: they hold people back in ways that aiops does not have."""


def _tables(words: str) -> tuple[str, ...]:
    return tuple(f"LiteLLM_{word}" for word in words.split())


UNREAD: Mapping[str, tuple[str, ...]] = {
    "models, providers and settings, which `aiops import` takes from the configuration": _tables(
        "CredentialsTable ProxyModelTable ModelTable Config ConfigOverrides CacheConfig HealthCheckTable"
        " AdaptiveRouterState AdaptiveRouterSession AutoRouterBaselineComparison AutoRouterBaselineObservation"
        " AutoRouterSession AutoRouterUserSession ShadowEvalJob ShadowEvalAttempt ShadowEvalFunnel"
    ),
    "reports, logs and statistics: those of the time before stay in LiteLLM's database": _tables(
        "SpendLogs ErrorLogs AuditLog DeletedTeamTable DeletedVerificationToken DailyUserSpend DailyGlobalSpend"
        " DailyOrganizationSpend DailyEndUserSpend DailyAgentSpend DailyTeamSpend DailyTagSpend DailyGuardrailMetrics"
        " DailyGuardrailUsageUnits DailyPolicyMetrics DailyToolSpend DailyModelUsage DailyGatewayRequests"
        " SpendLogGuardrailIndex SpendLogToolIndex AutoRouterDailySpend"
    ),
    "the dashboard and who signs in to it": _tables(
        "VerifiedSubject SSOIdentityAssertion SSOConfig UISettings UserNotifications InvitationLink"
    ),
    "LiteLLM's own bookkeeping": _tables("ProxyWorkerHeartbeat CronJob BackgroundInteractionSettlement"),
    "features that aiops does not have; what refers to them is told by the name of the key": _tables(
        "AgentsTable AgentIdentity RetiredAgentIdentity RetiredAgent ObjectPermissionTable MCPServerTable"
        " MCPToolsetTable MCPUserCredentials MCPUserEnvVars MCPServerOAuthClient ManagedFileTable ManagedObjectTable"
        " ManagedFileContentTable ManagedVectorStoreTable ManagedVectorStoresTable ManagedVectorStoreIndexTable"
        " GuardrailsTable PolicyTable PromptTable SearchToolsTable SkillsTable ToolTable AccessGroupTable"
        " ClaudeCodePluginTable MemoryTable WorkflowRun WorkflowEvent WorkflowMessage Lens LensRun LensReview"
        " LensWorker LensIngestionKey LensDataset LensSignalConfig LensTraceSignal"
    ),
}
"""Tables that are not read, by the reason."""
