"""What was taken over from LiteLLM: which rows, and what had been spent in each of several budgets.

The aiops before it works on: it does not name the columns, and knows nothing of the table.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import JSON, BigInteger, Column, PrimaryKeyConstraint, Text
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"

ACCOUNTS = ("keys", "teams", "team_members", "users")


def upgrade() -> None:
    for table in ACCOUNTS:
        kind = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
        op.add_column(table, Column("base_windows", kind))
    op.create_table(
        "imported",
        Column("kind", Text, nullable=False),
        Column("theirs", Text, nullable=False),
        Column("ours", Text, nullable=False),
        Column("source", Text, nullable=False),
        Column("digest", Text, nullable=False),
        Column("spent", BigInteger, nullable=False),
        Column("version", BigInteger, nullable=False),
        PrimaryKeyConstraint("kind", "theirs"),
    )


def downgrade() -> None:
    op.drop_table("imported")
    for table in ACCOUNTS:
        op.drop_column(table, "base_windows")
