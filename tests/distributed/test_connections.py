"""The ways to a Redis and a Postgres that are not one open port: TLS, sentinels that name another master, several
hosts. Each with real servers."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest

from aiops.demo.child import DemoProvider
from aiops.state.counters import redis as counters
from aiops.state.counters.meters import Demand, Granted, Meter, Unavailable
from aiops.state.store import open
from tests.distributed.replicas import ask, create, replicas
from tests.kit.postgres import Postgres
from tests.kit.postgres import missing as no_postgres
from tests.kit.redis import Redis, Sentinel
from tests.kit.redis import missing as no_redis
from tests.kit.servers import needed
from tests.kit.waiting import free_port, until

RPM = Meter(name="key:K:rpm", what="requests", limit=60)
PATIENT = {"connect": 1.0, "command": 1.0}


@pytest.fixture(scope="module")
def secure() -> Iterator[tuple[Postgres, Redis]]:
    """A Postgres and a Redis that speak TLS."""
    needed(no_postgres() or no_redis())
    postgres, redis = Postgres(tls=True), Redis(tls=True, requirepass="only-for-tests")
    try:
        yield postgres, redis
    finally:
        postgres.remove()
        redis.remove()


def reserve(url: str) -> object:
    async def once() -> object:
        asked = counters.Redis(url, **PATIENT)
        try:
            return await asked.reserve(Demand(id="a", owner="w", meters=[RPM]))
        finally:
            await asked.close()

    return asyncio.run(once())


def test_a_gateway_works_over_tls_alone_with_the_second_of_two_postgres_hosts(
    secure: tuple[Postgres, Redis], provider: DemoProvider
) -> None:
    postgres, redis = secure
    database = postgres.database()
    several = database.replace("@127.0.0.1:", f"@127.0.0.1:{free_port()},127.0.0.1:", 1)
    assert several.count("127.0.0.1") == 2
    with replicas(1, several, redis.url, provider.url) as (gateway,):
        key = create(gateway, "--rpm-limit", 2, "--max-budget", 10)
        until(lambda: gateway.get("/_health/ready").json()["checks"]["redis"] == "pass", 20, "Redis")
        statuses = [ask(gateway, key).status_code for _ in range(3)]
        assert statuses == [200, 200, 429]
        proved = until(lambda: gateway.must("usage", "prove"), 20, "the books")
        assert proved["ok"]
        assert [each["counter_nano_usd"] > 0 for each in proved["budgets"]] == [True], "Redis counted, not the host"
        with psycopg.connect(database) as connection:
            asked = connection.execute(
                "SELECT bool_and(s.ssl), count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)"
                " WHERE a.application_name = 'aiops'"
            ).fetchone()
    assert asked is not None
    assert (asked[0], 1 <= asked[1] <= 5) == (True, True), asked


def test_a_certificate_that_nobody_vouches_for_is_refused_by_both(secure: tuple[Postgres, Redis]) -> None:
    postgres, redis = secure
    with pytest.raises(Unavailable, match="certificate"):
        reserve(redis.url.partition("?")[0])
    other = Redis(tls=True)
    try:
        with pytest.raises(Unavailable, match="certificate"):
            reserve(f"{redis.url.partition('?')[0]}?{other.url.partition('?')[2]}")
        engine = open.engine(f"{postgres.url().partition('?')[0]}?sslmode=verify-full&sslrootcert="
                             f"{other.settings['tls_ca_cert_file']}")  # fmt: skip
        with pytest.raises(open.Unavailable, match="certificate") as refused, open.reading(engine):
            pass
        assert "only-for-tests" not in str(refused.value)
        engine.dispose()
    finally:
        other.remove()
    assert isinstance(reserve(redis.url), Granted)


def test_of_several_postgres_hosts_the_one_that_can_be_written_to_is_used_also_when_they_change_their_roles() -> None:
    needed(no_postgres())
    one, two = Postgres(default_transaction_read_only="on"), Postgres()
    hosts = f"127.0.0.1:{free_port()},127.0.0.1:{one.port},127.0.0.1:{two.port}"
    url = f"postgresql://postgres:only-for-tests@{hosts}/postgres?target_session_attrs=read-write"
    engine = open.engine(url)

    def port() -> int:
        with open.writing(engine) as connection:
            return int(connection.exec_driver_sql("SHOW port").scalar_one())

    try:
        assert port() == two.port
        two.stop(signal.SIGQUIT)
        one.settings.pop("default_transaction_read_only")
        one.restart()
        assert port() == one.port
    finally:
        engine.dispose()
        one.remove()
        two.remove()


def test_when_the_master_dies_the_one_that_the_sentinels_name_is_used_without_a_restart() -> None:
    """The counters in the new master may be older than what the old one had said: they are asked of the ledger."""
    needed(no_redis())
    first, second = Redis(requirepass="pw", masterauth="pw"), Redis(requirepass="pw", masterauth="pw")
    second.follow(first)
    sentinel = Sentinel("mine", first, quorum=1)
    lines: list[str] = []
    url = f"redis+sentinel://:pw@127.0.0.1:{free_port()},127.0.0.1:{sentinel.port}/mine/0"

    async def fail_over() -> None:
        asked = counters.Redis(url, say=lines.append, **PATIENT)
        assert isinstance(await asked.reserve(Demand(id="a", owner="w", meters=[RPM])), Granted)
        before = await asked.epoch()
        assert await there(second, before)
        first.stop(signal.SIGKILL)
        async with asyncio.timeout(30):
            while True:
                with suppress(Unavailable):
                    await asked.alive("w")
                    break
                await asyncio.sleep(0.05)
        assert await asked.epoch() != before
        assert isinstance(await asked.reserve(Demand(id="b", owner="w", meters=[RPM])), Granted)
        assert [("answers again" in line) for line in lines] == [False, True], lines
        await asked.close()

    try:
        until(sentinel.knows_a_replica, 30, "a replica, by the sentinel")
        asyncio.run(fail_over())
    finally:
        for server in (sentinel, first, second):
            server.remove()


async def there(replica: Redis, epoch: str) -> bool:
    """The replica has what was counted in the master."""
    for _ in range(200):
        if epoch.encode() in replica.ask("GET", "aiops:epoch"):
            return True
        await asyncio.sleep(0.05)
    return False
