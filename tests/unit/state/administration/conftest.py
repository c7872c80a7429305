"""On SQLite; tests/distributed has the same tests on Postgres."""

from __future__ import annotations

from tests.unit.state.store.conftest import empty, engine, migrated, where

__all__ = ["empty", "engine", "migrated", "where"]
