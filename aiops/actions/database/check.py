"""``aiops database check``: whether the database is there, whole, and of this aiops' schema."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, text

from aiops.actions.instance.database import engine, named, where
from aiops.errors import Precondition
from aiops.host.instance import Instance
from aiops.state.store import marker, schema
from aiops.state.store.open import is_postgres, reading
from aiops.state.store.tables import keys, teams, usage_daily


@dataclass(frozen=True)
class Checked:
    """``schema``: of its tables; 0: there are none yet."""

    where: str
    schema: int
    keys: int
    teams: int
    requests: int

    @property
    def makes(self) -> str:
        return "`aiops database migrate`" if self.where.startswith("PostgreSQL") else "the first key, or the gateway,"

    def lines(self) -> list[str]:
        if not self.schema:
            return [f"{self.where}: empty; {self.makes} makes its tables (schema {schema.OURS})"]
        counts = f"{self.keys:,} keys, {self.teams:,} teams, {self.requests:,} requests"
        return [f"{self.where}: whole, schema {self.schema}, which this aiops works with", counts]

    def to_json(self) -> dict[str, Any]:
        return {
            "ok": True, "database": self.where, "schema": self.schema, "schema_of_this_aiops": schema.OURS,
            "keys": self.keys, "teams": self.teams, "requests": self.requests,
        }  # fmt: skip


def check(instance: Instance) -> Checked:
    """Changes nothing. Raises WrongSchema, Precondition for a damaged one."""
    instance.require()
    found = where(instance)
    called = named(found)
    if isinstance(found, Path) and not found.exists():
        marker.require_none(found)
        return Checked(called, 0, 0, 0, 0)
    with engine(instance, check=False) as database:
        state = schema.schema_state(database)
        if state == schema.Behind(0):
            return Checked(called, 0, 0, 0, 0)
        schema.check(database)
        with reading(database) as connection:
            damage = "ok" if is_postgres(connection) else connection.scalar(text("PRAGMA quick_check(1)"))
            if damage != "ok":
                raise Precondition(f"{called} is damaged: {damage}", "stop the gateway and restore a backup of it")
            count = [connection.scalar(select(func.count()).select_from(table)) or 0 for table in (keys, teams)]
            requests = connection.scalar(select(func.coalesce(func.sum(usage_daily.c.requests), 0))) or 0
        revision = state.revision if isinstance(state, schema.Ahead) else schema.OURS
        return Checked(called, revision, count[0], count[1], int(requests))
