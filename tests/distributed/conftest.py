"""Tests that need a real PostgreSQL or Redis. Those of the store are the ones of tests/unit, on the other database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from aiops.demo.child import DemoProvider
from aiops.state.store import open
from tests.kit.postgres import Postgres, database, empty_database, migrated_template, postgres
from tests.kit.postgres import missing as no_postgres
from tests.kit.redis import Redis, redis_server, redis_url
from tests.kit.redis import missing as no_redis
from tests.kit.servers import needed

__all__ = ["database", "empty_database", "migrated_template", "postgres", "redis_server", "redis_url"]


@pytest.fixture(scope="module")
def provider() -> Iterator[DemoProvider]:
    with DemoProvider.double(models=("alpha", "beta")) as made:
        yield made


@pytest.fixture(scope="module")
def stores() -> Iterator[tuple[Postgres, Redis]]:
    """Of one module: it may stop and freeze them."""
    needed(no_postgres() or no_redis())
    postgres, redis = Postgres(), Redis(requirepass="only-for-tests")
    try:
        yield postgres, redis
    finally:
        postgres.remove()
        redis.remove()


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
