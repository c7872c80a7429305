"""Tests that need a real PostgreSQL or Redis. Those of the store are the ones of tests/unit, on the other database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from aiops.state.store import open
from tests.kit.postgres import database, empty_database, migrated_template, postgres
from tests.kit.redis import redis_server, redis_url

__all__ = ["database", "empty_database", "migrated_template", "postgres", "redis_server", "redis_url"]


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    """On a database that has the tables."""
    made = open.engine(database)
    yield made
    made.dispose()


@pytest.fixture
def where(empty_database: str) -> str:
    """Of a database without tables: a path, or a URL."""
    return empty_database


@pytest.fixture
def empty(where: str) -> Iterator[Engine]:
    """On a database without tables."""
    made = open.engine(where)
    yield made
    made.dispose()
