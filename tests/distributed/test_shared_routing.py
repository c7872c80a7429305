"""What gateways know together about providers and models: a model's limit, who is avoided, who is fast."""

from __future__ import annotations

import time
import zlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from aiops.demo.child import DemoProvider
from tests.distributed.replicas import ask, replicas
from tests.kit.gateway import Gateway
from tests.kit.postgres import Postgres
from tests.kit.redis import Redis
from tests.kit.waiting import until

PROVIDER = "x-aiops-provider"
COOLDOWN = 6
TRIES = range(8)
LIMITED = "\n".join(
    f"  limited-{number}: {{provider: one, backend_model: alpha, rate_limit: {{rpm: 12}}}}" for number in TRIES
)
MAPPINGS = f"""\
exact_matches:
{LIMITED}
  stood-in: {{provider: one, backend_model: alpha, rate_limit: {{rpm: 4}}}}
load_balancing:
  pool:
    strategy: direct
    providers: [{{provider: one, preferred_model: alpha}}, {{provider: two, preferred_model: gamma}}]
  quick:
    strategy: fastest_response
    providers: [{{provider: one, preferred_model: beta}}, {{provider: two, preferred_model: delta}}]
  turns:
    strategy: round-robin
    providers: [{{provider: one, preferred_model: alpha}}, {{provider: two, preferred_model: gamma}}]
special_cases:
  error_based_routing: {{enabled: true, error_threshold: 3, cooldown_seconds: {COOLDOWN}}}
"""


@pytest.fixture(scope="module")
def second() -> Iterator[DemoProvider]:
    with DemoProvider.double(models=("gamma", "delta")) as made:
        yield made


@pytest.fixture(scope="module")
def three(stores: tuple[Postgres, Redis], provider: DemoProvider, second: DemoProvider) -> Iterator[list[Gateway]]:
    postgres, redis = stores
    with replicas(3, postgres.database(), redis.url, provider.url) as made:
        for gateway in made:
            gateway.add("two", second.url, "gamma", "delta")
            gateway.source("model-mappings.yaml").write_text(MAPPINGS)
            gateway.must("apply")
        yield made


@pytest.fixture(autouse=True)
def calm(three: list[Gateway], provider: DemoProvider, second: DemoProvider) -> Iterator[None]:
    """Nobody is avoided any more, and nobody misbehaves."""
    for each in (provider, second):
        each.control(mode="ok", delay=0, tokens=4)
    until(lambda: not any(avoided(gateway) for gateway in three), 3 * COOLDOWN, "the end of what was avoided")
    for each in (provider, second):
        each.forget_requests()
    yield
    for each in (provider, second):
        each.control(mode="ok", delay=0, tokens=4)


def burst(gateways: list[Gateway], model: str, many: int) -> Counter[int]:
    with ThreadPoolExecutor(len(gateways)) as pool:
        chosen = [gateways[number % len(gateways)] for number in range(many)]
        return Counter(pool.map(lambda gateway: ask(gateway, gateway.key, model=model).status_code, chosen))


def limited(gateways: list[Gateway], tries: range) -> Counter[int]:
    """Of 24 requests to a model that lets 12 a minute pass. A gateway that has no answer of Redis within 50 ms goes on
    alone, and says so: on a machine that has too much to do another model is asked for then."""
    for number in tries:
        before = outages(gateways)
        found = burst(gateways, f"limited-{number}", 24)
        if outages(gateways) == before:
            return found
    raise AssertionError("Redis was never quick enough")


def outages(gateways: list[Gateway]) -> int:
    lines = (line for gateway in gateways for line in gateway.must("logs", "-n", "5000")["lines"])
    return sum("Redis at" in line and "cannot be used" in line for line in lines)


def avoided(gateway: Gateway) -> list[str]:
    """The providers that it avoids now."""
    rows: list[dict[str, Any]] = gateway.must("status", "--routes")["routes"]["providers"]
    return [row["provider"] for row in rows if row["avoided"]]


def who(gateway: Gateway, model: str = "pool") -> str:
    answer = ask(gateway, gateway.key, model=model)
    assert answer.status_code == 200, answer.text
    return str(answer.headers[PROVIDER])


def posts(provider: DemoProvider) -> int:
    return sum(item["method"] == "POST" for item in provider.requests())


def test_a_models_limit_of_12_lets_12_pass_over_three_gateways(three: list[Gateway]) -> None:
    assert limited(three, TRIES[:4]) == {200: 12, 429: 12}


def test_who_fails_one_gateway_is_avoided_by_the_others_within_two_seconds(
    three: list[Gateway], provider: DemoProvider
) -> None:
    first, *others = three
    assert {who(gateway) for gateway in three} == {"one"}
    provider.control(mode="500")
    for _ in range(3):
        assert who(first) == "two"
    began = time.monotonic()
    until(lambda: all(avoided(gateway) == ["one"] for gateway in others), 2, "others that avoid it too")
    print(f"known by the others after {time.monotonic() - began:.2f} s, the command line included")
    provider.forget_requests()
    assert [who(gateway) for gateway in others] == ["two", "two"]
    assert posts(provider) == 0, "they found out without asking it"
    provider.control(mode="ok")
    until(lambda: {who(gateway) for gateway in three} == {"one"}, 2 * COOLDOWN, "its return")


def test_how_fast_a_provider_is_has_to_be_measured_by_one_gateway_alone(
    three: list[Gateway], provider: DemoProvider, second: DemoProvider
) -> None:
    first, *others = three
    provider.control(delay=0.3)
    until(lambda: Counter(who(first, "quick") for _ in range(4)) == {"two": 4}, 20, "its choice of the faster one")
    time.sleep(2.5)
    for each in (provider, second):
        each.forget_requests()
    for gateway in others:
        assert Counter(who(gateway, "quick") for _ in range(4)) == {"two": 4}
    assert posts(provider) == 0, "whose speed is not known is tried first"


def test_each_gateway_begins_its_turns_where_its_own_name_says(three: list[Gateway]) -> None:
    """Turns are each gateway's own, and add up to fair ones; they do not all begin with the same member."""
    for gateway in three:
        taken = zlib.crc32((gateway.home / "state" / "replica").read_text().strip().encode())
        expected = ["one", "two", "one", "two"] if taken % 2 == 0 else ["two", "one", "two", "one"]
        assert [who(gateway, "turns") for _ in range(4)] == expected


def test_without_redis_each_goes_on_alone_and_they_share_again_when_it_is_back_without_a_restart(
    three: list[Gateway], stores: tuple[Postgres, Redis], provider: DemoProvider
) -> None:
    _, redis = stores
    first, second, _ = three
    before = [gateway.pids() for gateway in three]
    for without, back in ((redis.freeze, redis.thaw), (lambda: redis.stop(9), redis.start)):
        without()
        try:
            if back == redis.start:  # the other time the minute of the first one would have to pass
                assert [burst([gateway], "stood-in", 8) for gateway in (first, second)] == [{200: 4, 429: 4}] * 2
            provider.control(mode="500")
            for _ in range(3):
                assert who(first) == "two"
            time.sleep(1.5)
            assert (avoided(first), avoided(second)) == (["one"], [])
        finally:
            back()
        until(lambda: avoided(second) == ["one"], 5, "what the first one saw, told to the second")
        provider.control(mode="ok")
        until(lambda: not any(avoided(gateway) for gateway in three), 3 * COOLDOWN, "the end of what was avoided")
    until(lambda: all(ready(gateway) for gateway in three), 20, "Redis again")
    assert limited(three, TRIES[4:]) == {200: 12, 429: 12}
    assert [gateway.pids() for gateway in three] == before


def ready(gateway: Gateway) -> bool:
    return bool(gateway.get("/_health/ready").json()["checks"].get("redis") == "pass")
