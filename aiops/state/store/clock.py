"""The database's own time, in microseconds since 1970 UTC: what leases and expiries go by, whoever asks."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Connection, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

SECOND = 1_000_000


class now(FunctionElement[int]):
    """In a statement: ``update(t).values(at=now())``. It goes on within a transaction."""

    type = BigInteger()
    inherit_cache = True


@compiles(now, "postgresql")
def _postgres(element: now, compiler: Any, **_: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)"


@compiles(now, "sqlite")
def _sqlite(element: now, compiler: Any, **_: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"


def read(connection: Connection) -> int:
    return int(connection.scalar(select(now())) or 0)
