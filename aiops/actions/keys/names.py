"""The names that a shell completes, of keys and of teams: with sqlite3 alone, as nobody waits while they type."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from aiops.host.instance import Instance

MOST = 500
DATABASE = "aiops.db"


def keys(instance: Instance) -> list[tuple[str, str]]:
    """Alias and name. Raises sqlite3.Error when there is no database."""
    return _read(instance, "SELECT alias, name FROM keys WHERE alias IS NOT NULL AND revoked_at IS NULL LIMIT ?")


def teams(instance: Instance) -> list[tuple[str, str]]:
    """Alias and id. Raises sqlite3.Error when there is no database."""
    return _read(instance, "SELECT coalesce(alias, id), id FROM teams LIMIT ?")


def _read(instance: Instance, statement: str) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(f"file:{instance.state / DATABASE}?mode=ro", uri=True, timeout=0.2)) as database:
        return list(database.execute(statement, (MOST,)))
