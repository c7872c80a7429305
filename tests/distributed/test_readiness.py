"""Readiness while Postgres or Redis is stopped, frozen, or comes and goes: true within seconds, and steady."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from aiops.demo.child import DemoProvider
from tests.distributed.replicas import ask, create, replicas
from tests.kit.gateway import Gateway
from tests.kit.postgres import Postgres
from tests.kit.redis import Redis
from tests.kit.waiting import until

Stores = tuple[Postgres, Redis]
PROFILES = ("dev", "prod")


@pytest.fixture(scope="module", params=PROFILES)
def one(request: pytest.FixtureRequest, stores: Stores, provider: DemoProvider) -> Iterator[tuple[Gateway, str]]:
    """A gateway with one worker, and its profile."""
    postgres, redis = stores
    with replicas(1, postgres.database(), redis.url, provider.url, profile=request.param) as (gateway,):
        yield gateway, request.param


def health(gateway: Gateway, path: str = "/_health/ready") -> httpx.Response:
    """Answered from memory, whatever is away."""
    return httpx.get(gateway.url + path, timeout=30, trust_env=False)


def word(gateway: Gateway) -> str:
    return str(health(gateway).json()["status"])


def lacks(gateway: Gateway) -> list[str]:
    return [each["check"] for each in health(gateway).json()["why"]]


@pytest.mark.parametrize("how", ["stopped", "frozen"])
def test_without_postgres_a_closed_gateway_is_not_ready_and_an_open_one_degraded(
    one: tuple[Gateway, str], stores: Stores, how: str
) -> None:
    gateway, profile = one
    postgres, _ = stores
    key = create(gateway)
    assert ask(gateway, key).status_code == 200
    without, back = (postgres.stop, postgres.start) if how == "stopped" else (postgres.freeze, postgres.thaw)
    closed = profile == "prod"
    assert word(gateway) == "ready"
    without()
    try:
        until(lambda: word(gateway) == ("not_ready" if closed else "degraded"), 30, "that it is away")
        codes = {path: health(gateway, path).status_code for path in ("/_health/ready", "/health/ready")}
        assert set(codes.values()) == {503 if closed else 200}
        assert lacks(gateway) == ["store"]
        (why,) = health(gateway).json()["why"]
        assert (why["state"], "refused (503)" in why["effect"]) == ("lost", True)
        assert str(postgres.port) not in health(gateway).text, "nobody needs to know where it is"
        litellm = health(gateway, "/health/readiness")
        assert (litellm.status_code, litellm.json()["db"]) == (503 if closed else 200, "disconnected")
        assert health(gateway, "/_health/live").status_code == 200
        assert health(gateway, "/health/liveliness").status_code == 200
        # Nobody waits behind one that hangs: neither whoever is refused, nor the master key.
        assert ask(gateway, key).status_code == (503 if closed else 200)
        assert ask(gateway, gateway.key).status_code == 200
        status = gateway.status
        assert status["readiness"]["status"] == word(gateway)
        assert status["health"] == ("down" if closed else "degraded")
        assert any(each.startswith("store is lost since ") for each in status["why"])
        assert "store is lost since " in gateway.say("doctor").out
    finally:
        back()
    until(lambda: word(gateway) == "ready", 30, "readiness, by itself")
    assert ask(gateway, key).status_code == 200


@pytest.mark.parametrize("how", ["stopped", "frozen"])
def test_without_redis_it_is_degraded_whatever_the_profile_and_serves(
    one: tuple[Gateway, str], stores: Stores, how: str
) -> None:
    gateway, _ = one
    _, redis = stores
    key = create(gateway, "--rpm-limit", 1000)
    without, back = (redis.stop, redis.start) if how == "stopped" else (redis.freeze, redis.thaw)
    until(lambda: word(gateway) == "ready", 30, "readiness")
    without()
    try:
        until(lambda: word(gateway) == "degraded", 30, "that it is away")
        assert (health(gateway).status_code, lacks(gateway)) == (200, ["redis"])
        assert ask(gateway, key).status_code == 200
        assert number(gateway, "aiops_counters_standing_in") == 1
        until(lambda: number(gateway, 'aiops_store_up{store="redis"}') == 0, 20, "that the accountant has seen it")
    finally:
        back()
    until(lambda: word(gateway) == "ready", 30, "readiness, by itself")
    until(lambda: number(gateway, "aiops_counters_standing_in") == 0, 20, "its counters")


def number(gateway: Gateway, series: str) -> float:
    lines = health(gateway, "/metrics").text.splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{series} "))


def test_a_store_that_blips_is_no_news_and_neither_does_the_log_have_a_line_for_it(
    one: tuple[Gateway, str], stores: Stores
) -> None:
    gateway, _ = one
    postgres, redis = stores
    until(lambda: word(gateway) == "ready", 30, "readiness")
    log = gateway.home / "logs" / "gateway.log"
    before = len(log.read_text())
    words = set()
    for _ in range(4):
        for without, back in ((redis.freeze, redis.thaw), (postgres.freeze, postgres.thaw)):
            without()
            try:
                over = time.monotonic() + 1
                while time.monotonic() < over:
                    words.add(word(gateway))
            finally:
                back()
            words.add(word(gateway))
            until(lambda: number(gateway, "aiops_counters_standing_in") == 0, 20, "its counters")
    assert words == {"ready"}
    said = log.read_text()[before:]
    assert "the database is lost" not in said
    assert "the counters are lost" not in said


def test_the_log_says_once_which_stores_there_are_and_once_for_each_change(
    one: tuple[Gateway, str], stores: Stores
) -> None:
    gateway, _ = one
    postgres, _ = stores
    until(lambda: word(gateway) == "ready", 30, "readiness")
    log = gateway.home / "logs" / "gateway.log"
    text = log.read_text()
    accountants = text.count(": serves\n")
    for begins in ("database: PostgreSQL ", "counters: Redis "):
        lines = [line for line in text.splitlines() if begins in line]
        assert 1 <= len(lines) <= accountants
        assert all("only-for-tests" not in line and " ms" in line for line in lines)
        assert f"127.0.0.1:{postgres.port}/" in lines[0] or "Redis" in begins
    before = len(text)
    postgres.stop()
    try:
        until(lambda: word(gateway) != "ready", 30, "that it is away")
        for _ in range(20):
            ask(gateway, "sk-nobody-knows-this-one")
    finally:
        postgres.start()
    until(lambda: word(gateway) == "ready", 30, "readiness")
    said = log.read_text()[before:]
    assert said.count("the database is lost: ") == 1
    assert said.count("the database can be used again, after ") == 1
