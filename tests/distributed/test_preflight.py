"""What a Postgres and a Redis have to be like before `scale-out` begins: real ones that are not, and all that is wrong
with them said together."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from aiops.actions.scale import preflight
from aiops.actions.scale.preflight import Fitness, look, read_url
from tests.kit.postgres import Postgres
from tests.kit.postgres import missing as no_postgres
from tests.kit.redis import Redis
from tests.kit.redis import missing as no_redis
from tests.kit.servers import needed


def test_all_that_is_wrong_with_both_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too few connections; keys are thrown away; no password with `profile: prod`; clocks that differ."""
    needed(no_postgres() or no_redis())
    postgres = Postgres(max_connections="12", superuser_reserved_connections="3")
    try:
        redis = Redis(maxmemory_policy="allkeys-lru", maxmemory="64mb")
        try:
            behind = SimpleNamespace(time=lambda: time.time() - 60, perf_counter=time.perf_counter)
            monkeypatch.setattr(preflight, "time", behind)
            found = look(postgres.database(), redis.url, strict=True)
        finally:
            redis.remove()
    finally:
        postgres.remove()
    said = [
        "clock of PostgreSQL is 60.",
        "connections left, and one gateway needs up to 10",
        "maxmemory-policy allkeys-lru",
        "asks for no password",
        "clock of Redis is 60.",
    ]
    assert len(found.problems) == len(said), found.problems
    for problem, words in zip(found.problems, said, strict=True):
        assert words in problem


def test_what_is_fit_has_no_problem(postgres: Postgres, redis_url: str) -> None:
    found = look(postgres.database(), redis_url, strict=False)
    assert found.problems == []
    assert [line.split()[0] for line in found.lines] == ["PostgreSQL", "its", "Redis"]


def test_older_ones_than_are_needed_are_refused(
    postgres: Postgres, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "OLDEST_POSTGRES", 99)
    monkeypatch.setattr(preflight, "OLDEST_REDIS", 99)
    found = look(postgres.database(), redis_url, strict=False)
    assert [problem.rpartition(", ")[2] for problem in found.problems] == [
        "and 99 or later is needed",
        "and 99 or later is needed",
    ]


def test_a_user_who_may_not_make_tables_is_told(postgres: Postgres) -> None:
    url = postgres.database()
    postgres.execute("CREATE ROLE guest LOGIN PASSWORD 'only-for-tests'")
    found = look(postgres.url(url.rpartition("/")[2], "guest"), None, strict=False)
    assert [problem for problem in found.problems if "may not make tables" in problem] == found.problems != []


def test_a_postgres_that_takes_no_writes_is_told() -> None:
    needed(no_postgres())
    postgres = Postgres()
    try:
        postgres.execute("CREATE ROLE poor LOGIN PASSWORD 'poor'")
        postgres.execute("ALTER ROLE poor SET default_transaction_read_only = on")
        found = look(postgres.url(user="poor", password="poor"), None, strict=True)
    finally:
        postgres.remove()
    assert any("takes no writes here" in each for each in found.problems), found.problems


def test_a_redis_that_is_a_cluster_is_told() -> None:
    needed(no_redis())
    redis = Redis(cluster_enabled="yes")
    try:
        found = look(None, redis.url, strict=False)
    finally:
        redis.remove()
    assert any("is a cluster" in each for each in found.problems), found.problems


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (b"redis://127.0.0.1/0\n", 0o640, "is open to others (mode 640): `chmod 600 "),
        (b"redis://127.0.0.1/0\n", 0o604, "is open to others (mode 604)"),
        (b"", 0o600, "is to hold the URL of Redis and nothing else"),
        (b"redis://one/0\nredis://two/0\n", 0o600, "is to hold the URL of Redis and nothing else"),
        (b"\xff\xfe", 0o600, "is to hold the URL of Redis and nothing else"),
        (None, 0o600, "No such file or directory: it is to hold the URL of Redis"),
    ],
)
def test_a_file_with_a_url_holds_that_alone_and_is_its_owners(
    tmp_path: Path, content: bytes | None, mode: int, said: str
) -> None:
    file = tmp_path / "url"
    if content is not None:
        file.write_bytes(content)
        file.chmod(mode)
    found = Fitness()
    read_url(file, "Redis", found)
    assert len(found.problems) == 1
    assert said in found.problems[0]
