"""A Postgres and a Redis that are not fit for several gateways: all of it is said, by real ones that are like that."""

from __future__ import annotations

import time

import pytest

from aiops.actions.scale import preflight
from tests.kit.postgres import Postgres
from tests.kit.postgres import missing as no_postgres
from tests.kit.redis import Redis
from tests.kit.redis import missing as no_redis
from tests.kit.servers import needed


def test_a_postgres_that_takes_no_writes_of_a_user_without_rights_and_with_few_connections_is_refused() -> None:
    needed(no_postgres())
    postgres = Postgres(max_connections="10")
    try:
        postgres.execute("CREATE ROLE poor LOGIN PASSWORD 'poor'")
        postgres.execute("ALTER ROLE poor SET default_transaction_read_only = on")
        found = problems(postgres.url(user="poor", password="poor"), None)
    finally:
        postgres.remove()
    for said in ("takes no writes here", "may not make tables", "gateways need up to 10"):
        assert any(said in each for each in found), (said, found)


def test_a_redis_that_is_a_cluster_asks_for_no_password_and_has_another_time_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needed(no_redis())
    redis = Redis(cluster_enabled="yes")
    try:
        now = time.time
        monkeypatch.setattr("aiops.actions.scale.preflight.time.time", lambda: now() + 60)
        found = problems(None, redis.url)
    finally:
        redis.remove()
    for said in ("is a cluster", "asks for no password", "behind this one: set both by NTP"):
        assert any(said in each for each in found), (said, found)


def test_what_is_fit_has_no_problem_and_says_how_far_away_it_is() -> None:
    needed(no_postgres() or no_redis())
    postgres, redis = Postgres(), Redis(requirepass="only-for-tests")
    try:
        found = preflight.look(postgres.url(), redis.url, strict=True)
    finally:
        postgres.remove()
        redis.remove()
    assert found.problems == []
    assert [line.split()[0] for line in found.lines] == ["PostgreSQL", "its", "Redis"]


def problems(database: str | None, redis: str | None) -> list[str]:
    """As with ``profile: prod``."""
    return preflight.look(database, redis, strict=True).problems
