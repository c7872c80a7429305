"""What several gateways promise together, each asked at its own address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from aiops.demo.child import DemoProvider
from tests.distributed.replicas import ask, create, replicas, while_redis_decides
from tests.kit.gateway import Gateway
from tests.kit.postgres import Postgres
from tests.kit.redis import Redis
from tests.kit.waiting import until


@pytest.fixture(scope="module")
def three(stores: tuple[Postgres, Redis], provider: DemoProvider) -> Iterator[list[Gateway]]:
    postgres, redis = stores
    with replicas(3, postgres.database(), redis.url, provider.url) as made:
        yield made


def burst(gateways: list[Gateway], key: str, many: int, at_once: int, **more: int) -> Counter[int]:
    """Requests to all of them in turn, by their statuses."""
    limits = httpx.Limits(max_connections=at_once)
    with httpx.Client(trust_env=False, limits=limits) as client, ThreadPoolExecutor(at_once) as pool:
        asked = pool.map(lambda n: ask(gateways[n % len(gateways)], key, client, **more).status_code, range(many))
        return Counter(asked)


def test_a_limit_of_60_a_minute_lets_60_pass_over_three_replicas(three: list[Gateway]) -> None:
    statuses = while_redis_decides(three, lambda: burst(three, create(three[0], "--rpm-limit", 60), 180, 12))
    assert set(statuses) == {200, 429}
    assert 59 <= statuses[200] <= 61


def test_a_budget_for_50_is_not_spent_twice_by_200_requests_at_once(
    three: list[Gateway], provider: DemoProvider
) -> None:
    """Every counter is shared, and nothing is checked without being reserved. Each reserves more than it will use."""
    provider.control(tokens=4)
    probe = create(three[0], "--max-budget", 10)
    assert ask(three[0], probe).status_code == 200
    one = spent(three[0], probe)
    key = create(three[0], "--max-budget", f"{50 * one / 1e9:.9f}")
    provider.control(delay=0.2)
    try:
        statuses = burst(three, key, 200, 100, max_tokens=40)
    finally:
        provider.control(delay=0, tokens=8)
    assert set(statuses) == {200, 429}
    assert 10 <= statuses[200] <= 51
    assert spent(three[0], key) <= 50 * one * 1.02
    for gateway in three:
        assert until(lambda: gateway.cli("usage", "prove").data["ok"], 20, "ledger = counters")  # noqa: B023


def spent(gateway: Gateway, key: str) -> int:
    """Nano-dollars in the ledger, once it has all of it."""
    name = f"sk-...{key[-4:]}"

    def found() -> int:
        proved = gateway.cli("usage", "prove").data
        return sum(each["ledger_nano_usd"] for each in proved["budgets"] if name in each["whose"] and each["ok"])

    return int(until(found, 20, "what was spent"))


@pytest.mark.shows("aiops.yaml: mode", "aiops.yaml: deployment.mode", "aiops.yaml: deployment.replica")
def test_a_revoked_key_is_refused_by_every_replica_when_the_receipt_says_so(
    three: list[Gateway],
) -> None:
    key = create(three[0], "--alias", "leaked")
    for gateway in three:
        assert ask(gateway, key).status_code == 200
    receipt = three[1].must("keys", "revoke", "leaked")["receipt"]
    assert {each["host"] for each in receipt} == {"box-1", "box-2", "box-3"}
    assert all(each["seconds"] is not None for each in receipt), receipt
    assert {ask(gateway, key).status_code for gateway in three} == {401}
    print("refused after", ", ".join(f"{each['seconds']:.3f} s by {each['host']}" for each in receipt))


def test_without_redis_requests_go_on_and_it_is_used_again_when_it_is_back(
    three: list[Gateway], stores: tuple[Postgres, Redis]
) -> None:
    """Frozen, and killed: nobody waits for it, and nothing has to be restarted."""
    _, redis = stores
    key = create(three[0], "--rpm-limit", 1000)
    assert ask(three[0], key).status_code == 200
    for without, back in ((redis.freeze, redis.thaw), (lambda: redis.stop(9), redis.start)):
        without()
        try:
            assert burst(three, key, 60, 6) == {200: 60}
        finally:
            back()
        assert until(lambda: {shared(gateway) for gateway in three} == {True}, 20, "Redis again")


def shared(gateway: Gateway) -> bool:
    """Whether its workers count in Redis now."""
    ready = gateway.get("/_health/ready").json()["checks"].get("redis") == "pass"
    return bool(ready and "\naiops_counters_standing_in 0.0\n" in gateway.get("/metrics").text)


def test_without_postgres_known_keys_work_and_every_request_is_in_the_ledger_once_when_it_is_back(
    three: list[Gateway], stores: tuple[Postgres, Redis]
) -> None:
    postgres, _ = stores
    key = create(three[0], "--alias", "through-the-outage")
    for gateway in three:
        assert ask(gateway, key).status_code == 200
    postgres.stop()
    try:
        assert burst(three, key, 60, 6) == {200: 60}
        refused = three[0].cli("keys", "list")
        assert (refused.code, refused.data["error"]["code"]) == (4, "database_unavailable")
    finally:
        postgres.start()
    until(lambda: requests_of(three[0], "through-the-outage") >= 63, 30, "63 requests in the ledger")
    assert requests_of(three[0], "through-the-outage") == 63
    for gateway in three:
        assert gateway.must("usage", "prove")["ingested"], "nothing is left in its spools"
    assert requests_of(three[0], "through-the-outage") == 63


def requests_of(gateway: Gateway, alias: str) -> int:
    answer = gateway.cli("usage", "--by", "key", "--key", alias)
    return sum(row["requests"] for row in answer.data["usage"]) if answer.code == 0 else 0


def test_with_the_profile_prod_no_key_but_the_master_key_works_without_postgres_and_none_comes_up(
    stores: tuple[Postgres, Redis], provider: DemoProvider
) -> None:
    postgres, redis = stores
    with replicas(1, postgres.database(), redis.url, provider.url, profile="prod") as (strict,):
        key = create(strict, "--alias", "known")
        assert ask(strict, key).status_code == 200
        postgres.stop()
        try:
            until(lambda: ask(strict, key).status_code == 503, 30, "a known key's refusal")
            assert ask(strict, strict.key).status_code == 200
        finally:
            postgres.start()
        until(lambda: ask(strict, key).status_code == 200, 30, "its answer")
        strict.must("down")
        postgres.stop()
        try:
            refused = strict.cli("up")
        finally:
            postgres.start()
        assert (refused.code, refused.data["error"]["code"]) == (4, "database_unavailable"), refused.err
