"""What Alembic runs for each of its commands, on the connection of ``schema.migrate``, or to print its SQL."""

from __future__ import annotations

from alembic import context

from aiops.state.store import schema
from aiops.state.store.tables import metadata

if context.is_offline_mode():
    context.configure(
        dialect_name=context.config.get_main_option("dialect"),
        target_metadata=metadata,
        literal_binds=True,
        dialect_opts={"paramstyle": "named"},
        transaction_per_migration=True,
    )
    if context.config.get_main_option("dialect") == "postgresql":
        for setting in schema.PATIENCE:
            context.execute(f"SET {setting}")
else:
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        # The caller's: of several steps all or none are done.
        transactional_ddl=False,
    )
context.run_migrations()
