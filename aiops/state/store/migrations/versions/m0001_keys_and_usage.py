"""The first tables: keys and whom they belong to, usage, audit, and what replicas agree by.

A copy of what ``store/tables.py`` was then, never changed any more.
"""

from __future__ import annotations

from typing import Any

from alembic import op
from alembic.operations.ops import CreateIndexOp, CreateTableOp
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    Double,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from aiops.state.store.migrations.m0001_partitions import DROP, FUNCTIONS, MAKE

revision = "0001"
down_revision = None
READABLE_SINCE = "1"

metadata = MetaData()

Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
Serial = BigInteger().with_variant(Integer, "sqlite")


def _limits() -> list[Column[Any]]:
    return [
        Column("rpm_limit", BigInteger),
        Column("tpm_limit", BigInteger),
        Column("max_parallel_requests", BigInteger),
        Column("max_budget", BigInteger),
        Column("budget_duration", Text),
        Column("budget_limits", Json),
        Column("soft_budget", BigInteger),
        Column("model_rpm_limit", Json),
        Column("model_tpm_limit", Json),
        Column("model_max_budget", Json),
    ]


def _account() -> list[Column[Any]]:
    return [
        *_limits(),
        Column("budget_id", Text),
        Column("models", Json),
        Column("blocked", Boolean, nullable=False, server_default=false()),
        Column("shadow", Boolean, nullable=False, server_default=false()),
        Column("epoch", BigInteger, nullable=False, server_default="0"),
        Column("base_spend", BigInteger, nullable=False, server_default="0"),
        Column("base_at", BigInteger, nullable=False, server_default="0"),
        Column("base_windows", Json),
    ]


def _written() -> list[Column[Any]]:
    return [
        Column("metadata", Json),
        Column("created_at", BigInteger, nullable=False),
        Column("created_by", Text),
        Column("updated_at", BigInteger, nullable=False),
        Column("updated_by", Text),
        Column("version", BigInteger, nullable=False, server_default="1"),
    ]


keys = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("alias", Text),
    Column("team_id", Text),
    Column("user_id", Text),
    *_account(),
    Column("key_type", Text),
    Column("admin", Boolean, nullable=False, server_default=false()),
    Column("allowed_routes", Json),
    Column("weight", Double, nullable=False, server_default="1"),
    Column("tags", Json),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    *_written(),
    Index("keys_by_alias", "alias", unique=True),
    Index("keys_by_creation", "created_at", "id"),
    Index("keys_by_team", "team_id", "created_at", "id"),
    Index("keys_by_user", "user_id", "created_at", "id"),
    Index("keys_by_budget", "budget_id"),
)

key_hashes = Table(
    "key_hashes",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("key_id", Text, nullable=False),
    Column("expires_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Index("key_hashes_by_key", "key_id"),
)

teams = Table(
    "teams",
    metadata,
    Column("id", Text, primary_key=True),
    Column("alias", Text),
    *_account(),
    Column("member_budget_id", Text),
    *_written(),
    Index("teams_by_alias", "alias"),
    Index("teams_by_creation", "created_at", "id"),
)

team_members = Table(
    "team_members",
    metadata,
    Column("team_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("role", Text, nullable=False, server_default="user"),
    *_account(),
    *_written(),
    PrimaryKeyConstraint("team_id", "user_id"),
    Index("team_members_by_user", "user_id"),
)

users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("alias", Text),
    Column("email", Text),
    Column("role", Text),
    *_account(),
    *_written(),
    Index("users_by_email", "email"),
    Index("users_by_creation", "created_at", "id"),
)

budgets = Table(
    "budgets",
    metadata,
    Column("id", Text, primary_key=True),
    *_limits(),
    *_written(),
    Index("budgets_by_creation", "created_at", "id"),
)

usage = Table(
    "usage",
    metadata,
    Column("started", BigInteger, nullable=False),
    Column("id", Text, nullable=False),
    Column("key_id", Text, nullable=False, server_default=""),
    Column("team_id", Text),
    Column("user_id", Text),
    Column("model", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("served", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("first", Double),
    Column("status", BigInteger, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("cost", BigInteger),
    Column("estimated", Boolean, nullable=False),
    Column("stream", Boolean, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("replica", Text, nullable=False),
    Column("epoch", Text, nullable=False),
    Column("end_user", Text),
    Column("tags", Json),
    Column("idempotency_key", Text),
    Column("ingested_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("started", "id"),
    Index("usage_by_id", "id"),
    Index("usage_by_key", "key_id", "started"),
    Index("usage_by_team", "team_id", "started", postgresql_where=text("team_id IS NOT NULL")),
    Index("usage_by_user", "user_id", "started", postgresql_where=text("user_id IS NOT NULL")),
    postgresql_partition_by="RANGE (started)",
)


def _counted() -> list[Column[Any]]:
    tokens = ("prompt_tokens", "completion_tokens", "cached_tokens")
    names = ("requests", "failed", "estimated", "unpriced", "cost", *tokens)
    return [Column(name, BigInteger, nullable=False, server_default="0") for name in names]


usage_daily = Table(
    "usage_daily",
    metadata,
    Column("day", Date, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("team_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("epoch", Text, nullable=False),
    *_counted(),
    PrimaryKeyConstraint("day", "key_id", "team_id", "user_id", "model", "provider", "epoch"),
    Index("usage_daily_by_key", "key_id", "day"),
    Index("usage_daily_by_team", "team_id", "day"),
    Index("usage_daily_by_user", "user_id", "day"),
)

usage_daily_totals = Table(
    "usage_daily_totals",
    metadata,
    Column("day", Date, nullable=False),
    Column("model", Text, nullable=False),
    Column("provider", Text, nullable=False),
    *_counted(),
    PrimaryKeyConstraint("day", "model", "provider"),
)

usage_daily_tags = Table(
    "usage_daily_tags",
    metadata,
    Column("day", Date, nullable=False),
    Column("tag", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("team_id", Text, nullable=False),
    Column("model", Text, nullable=False),
    *_counted(),
    PrimaryKeyConstraint("day", "tag", "key_id", "team_id", "model"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Serial, Identity(), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("from_where", Text, nullable=False, server_default=""),
    Column("verb", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("before", Json),
    Column("after", Json),
    Index("audit_by_time", "at"),
    Index("audit_by_object", "kind", "object", "id"),
    sqlite_autoincrement=True,
)

changes = Table(
    "changes",
    metadata,
    Column("seq", Serial, Identity(), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("id", Text, nullable=False),
    sqlite_autoincrement=True,
)

replicas = Table(
    "replicas",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("applied_seq", BigInteger, nullable=False),
    Column("workers", Json),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text),
    Column("epoch", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

published_generations = Table(
    "published_generations",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Column("message", Text, nullable=False, server_default=""),
    Column("content", Json),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("key_id", Text, nullable=False),
    Column("idempotency_key", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("fingerprint", Text, nullable=False, server_default=""),
    Column("status", BigInteger),
    Column("answer", Json),
    Column("expires_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("key_id", "idempotency_key"),
    Index("idempotency_by_expiry", "expires_at"),
)

imported = Table(
    "imported",
    metadata,
    Column("kind", Text, nullable=False),
    Column("theirs", Text, nullable=False),
    Column("ours", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("spent", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    PrimaryKeyConstraint("kind", "theirs"),
)

meta = Table(
    "meta",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)


def upgrade() -> None:
    for table in metadata.sorted_tables:
        op.invoke(CreateTableOp.from_table(table))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            op.invoke(CreateIndexOp.from_index(index))
    if op.get_context().dialect.name == "postgresql":
        # For rows whose month was not made in time; without it they would be refused.
        op.execute("CREATE TABLE usage_rest PARTITION OF usage DEFAULT")
        op.execute(MAKE)
        op.execute(DROP)
        for function in FUNCTIONS:
            # What runs with its owner's rights finds nobody else's tables.
            op.execute(
                "DO $do$ BEGIN EXECUTE format("
                f"'ALTER FUNCTION {function} SET search_path = %I, pg_temp', current_schema()); END $do$"
            )
            op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
    op.bulk_insert(meta, [{"name": "readable_since", "value": READABLE_SINCE}])


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        for function in FUNCTIONS:
            op.execute(f"DROP FUNCTION {function}")
    for table in reversed(metadata.sorted_tables):
        op.drop_table(table.name)
