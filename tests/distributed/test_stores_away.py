"""Redis and Postgres killed, frozen, or behind a cable that swallows everything: no request fails, each change of
state is said in one line, and nothing has to be restarted. How long requests wait: ``scripts/bench stores-away``."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import pytest

from aiops.demo.child import DemoProvider
from aiops.gateway.shared import accounting
from tests.distributed.replicas import ask, asked_all_the_time, create, replicas
from tests.kit.cable import Cable
from tests.kit.gateway import Gateway
from tests.kit.postgres import Postgres
from tests.kit.redis import Redis
from tests.kit.waiting import until


@dataclass(frozen=True)
class Wired:
    gateway: Gateway
    key: str
    redis: Redis
    postgres: Postgres
    to_redis: Cable
    to_postgres: Cable


@pytest.fixture(scope="module")
def wired(stores: tuple[Postgres, Redis], provider: DemoProvider) -> Iterator[Wired]:
    postgres, redis = stores
    to_redis, to_postgres = Cable(redis.port), Cable(postgres.port)
    try:
        database = to_postgres.through(postgres.database())
        with replicas(1, database, to_redis.through(redis.url), provider.url) as (gateway,):
            key = create(gateway, "--alias", "away", "--rpm-limit", 10**6, "--max-budget", 10**5)
            assert ask(gateway, key).status_code == 200
            yield Wired(gateway, key, redis, postgres, to_redis, to_postgres)
    finally:
        to_redis.remove()
        to_postgres.remove()


def check(gateway: Gateway, name: str) -> str:
    return str(gateway.get("/_health/ready").json()["checks"].get(name))


def lines(gateway: Gateway) -> list[str]:
    return (gateway.home / "logs" / "gateway.log").read_text(errors="replace").splitlines()


def accountant(gateway: Gateway) -> str:
    return f"accountant {accounting.holder(gateway.home / 'state')}: "


def goes_and_comes_back(
    wired: Wired, store: str, known: str, away: Callable[[], object], back: Callable[[], object]
) -> list[str]:
    """What was said meanwhile. The accountant says ``known`` when it, too, has noticed: a worker may do so earlier."""
    gateway = wired.gateway
    before = len(lines(gateway))
    knows = f"{accountant(gateway)}{known}"
    with asked_all_the_time(gateway, wired.key) as statuses:
        away()
        try:
            until(lambda: check(gateway, store) == "lost", 30, f"that {store} is away")
            seen = statuses[200]
            until(lambda: statuses[200] > seen + 20, 30, "answers without it")
            until(lambda: any(line.startswith(knows) for line in lines(gateway)[before:]), 30, "its accountant's word")
        finally:
            back()
        until(lambda: check(gateway, store) == "pass", 30, f"that {store} is back")
        seen = statuses[200]
        until(lambda: statuses[200] > seen + 20, 30, "answers with it")
    assert set(statuses) == {200}
    return lines(gateway)[before:]


WAYS = ["killed", "frozen", "black-holed"]


def ways(
    store: Redis | Postgres, cable: Cable, kill: signal.Signals
) -> Mapping[str, tuple[Callable[[], object], Callable[[], object]]]:
    """How it goes away, and how it comes back."""
    there_and_back = (
        (partial(store.stop, kill), store.start),
        (store.freeze, store.thaw),
        (cable.swallow, cable.mend),
    )
    return dict(zip(WAYS, there_and_back, strict=True))


@pytest.mark.parametrize("how", WAYS)
def test_a_redis_that_is_away_fails_no_request_and_is_told_once_by_each_process(wired: Wired, how: str) -> None:
    said = goes_and_comes_back(
        wired, "redis", "the counters are lost", *ways(wired.redis, wired.to_redis, signal.SIGKILL)[how]
    )
    told = [line for line in said if "Redis at " in line or "the counters " in line]
    workers = [line for line in told if not line.startswith("accountant ")]
    accountants = [line for line in told if line.startswith("accountant ")]
    one = accountant(wired.gateway)
    require_in_turn(workers, "Redis at ", "cannot be used", "answers again")
    require_in_turn(accountants, one, f"{one}the counters are lost: ", f"{one}the counters can be used again, ")


def require_in_turn(told: list[str], begins: str, lost: str, back: str) -> None:
    """Nothing else was told. A busy machine may lose it more than once."""
    assert told
    assert len(told) % 2 == 0, told
    for number, line in enumerate(told):
        assert line.startswith(begins), told
        assert (back if number % 2 else lost) in line, told


@pytest.mark.parametrize("how", WAYS)
def test_a_postgres_that_is_away_fails_no_request_of_a_known_key_and_is_told_once(wired: Wired, how: str) -> None:
    said = goes_and_comes_back(
        wired, "store", "the database ", *ways(wired.postgres, wired.to_postgres, signal.SIGQUIT)[how]
    )
    found = [line for line in said if "the database " in line]
    assert [" is lost" in line for line in found] == [True, False], found
