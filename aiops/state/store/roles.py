"""Who may do what in Postgres, when not everybody is the owner. To be granted again after each migration.

The migrator owns the tables, and is who runs ``aiops database migrate``. The gateway works with rows: it cannot change
tables, and neither alter nor remove what is in the ledger and in the audit log; months of the ledger are made and
dropped by functions of the migrator's. Who only reads sees neither the hashes of keys nor answers that are kept.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, text
from sqlalchemy.dialects import postgresql

from aiops.state.store.tables import audit, idempotency, key_hashes, meta, metadata, usage

_APPENDED = {audit.name, usage.name}
_READ = {meta.name, "alembic_version"}
_SECRET = {key_hashes.name, idempotency.name}
_FUNCTIONS = ("aiops_make_usage_partitions(integer)", "aiops_drop_usage_before(bigint)")


def statements(gateway: str, reader: str | None = None, schema: str = "public") -> list[str]:
    """SQL for the migrator to execute; the roles are there already. What they had on these tables is taken first."""
    quote = postgresql.dialect().identifier_preparer.quote  # type: ignore[no-untyped-call]
    tables = sorted({*metadata.tables, "alembic_version"})

    def on(names: Iterable[str]) -> str:
        return ", ".join(f"{quote(schema)}.{quote(name)}" for name in names)

    def granted(role: str, rights: str, names: Iterable[str]) -> str:
        return f"GRANT {rights} ON {on(sorted(names))} TO {quote(role)}"

    written = set(tables) - _APPENDED - _READ
    made = []
    for role in (gateway, reader):
        if role is not None:
            made += [
                f"REVOKE ALL ON {on(tables)} FROM {quote(role)}",
                f"GRANT USAGE ON SCHEMA {quote(schema)} TO {quote(role)}",
            ]
    made += [
        granted(gateway, "SELECT, INSERT, UPDATE, DELETE", written),
        granted(gateway, "SELECT, INSERT", _APPENDED),
        granted(gateway, "SELECT", _READ),
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {quote(schema)} TO {quote(gateway)}",
        *(f"GRANT EXECUTE ON FUNCTION {quote(schema)}.{each} TO {quote(gateway)}" for each in _FUNCTIONS),
    ]
    if reader is not None:
        made.append(granted(reader, "SELECT", set(tables) - _SECRET))
    return made


def grant(connection: Connection, gateway: str, reader: str | None = None) -> None:
    """As the migrator, in the schema that the tables are in."""
    schema = connection.execute(text("SELECT current_schema()")).scalar_one()
    for statement in statements(gateway, reader, schema):
        connection.exec_driver_sql(statement)
