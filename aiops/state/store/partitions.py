"""How long rows of usage are kept. Postgres: a partition for each month, made ahead and dropped whole."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, func, select, text, tuple_

from aiops.state.store import clock
from aiops.state.store.open import is_postgres
from aiops.state.store.tables import usage

AHEAD = 3
BATCH = 10_000
_NAME = re.compile(r"usage_([0-9]{4})_([0-9]{2})")
_PARTITIONS = text(
    "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'usage'::regclass"
)


def make_partitions(connection: Connection, ahead: int = AHEAD) -> int:
    """Of this month and ``ahead`` more; how many were not there. To be called each day. SQLite has none."""
    if not is_postgres(connection):
        return 0
    made: int = connection.execute(select(func.aiops_make_usage_partitions(ahead))).scalar_one()
    return made


def drop_before(connection: Connection, when: int) -> bool:
    """Drop rows started before (microseconds since 1970); the sums by day stay. True: there are more, call again in
    another transaction. On Postgres only months that are over by then."""
    if is_postgres(connection):
        connection.execute(select(func.aiops_drop_usage_before(when)))
        return False
    old = select(usage.c.started, usage.c.id).where(usage.c.started < when).limit(BATCH)
    return connection.execute(delete(usage).where(tuple_(usage.c.started, usage.c.id).in_(old))).rowcount == BATCH


def runway(connection: Connection) -> float | None:
    """Seconds until rows have no partition of their own any more; 0: they have none now. None: never (SQLite)."""
    if not is_postgres(connection):
        return None
    made = {
        tuple(map(int, found.groups())) for name in connection.scalars(_PARTITIONS) if (found := _NAME.fullmatch(name))
    }
    now = clock.read(connection) / clock.SECOND
    today = datetime.fromtimestamp(now, UTC)
    year, month = today.year, today.month
    while (year, month) in made:
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return max(0.0, datetime(year, month, 1, tzinfo=UTC).timestamp() - now)
