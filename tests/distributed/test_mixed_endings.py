"""Money with many replicas: whatever ends how, and whoever is killed meanwhile, no request is refused that may pass,
and afterwards the counters in Redis say what the ledger in Postgres says."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from functools import partial

import pytest

from aiops.state.store import open
from tests.distributed.replicas import create, share
from tests.kit import endings
from tests.kit.gateway import Gateway
from tests.kit.postgres import Postgres
from tests.kit.postgres import missing as no_postgres
from tests.kit.redis import Redis
from tests.kit.servers import needed

# `scripts/test soak` has ten thousand.
MANY = int(os.environ.get("AIOPS_ENDINGS", "300"))
SEED = int(os.environ.get("AIOPS_SEED", "1"))


@pytest.fixture
def lasting() -> Iterator[Postgres]:
    """One that has what it committed, also after a crash."""
    needed(no_postgres())
    server = Postgres(fsync="on", synchronous_commit="on", full_page_writes="on")
    try:
        yield server
    finally:
        server.remove()


@pytest.mark.timeout(300 + MANY)
def test_no_spend_counter_grows_beyond_what_was_spent_and_nobody_is_refused_falsely_over_three_replicas(
    lasting: Postgres, stores: tuple[Postgres, Redis]
) -> None:
    """Time-outs retried are not added twice, no reservation is left behind, and counters that were lost are seeded
    right; with kill -9 of workers, masters, accountants and of Redis, and of a gateway's processes while Postgres is
    away. What was asked meanwhile is in the ledger once."""
    postgres, redis = lasting, stores[1]
    url = postgres.database()
    gateways = [Gateway() for _ in range(3)]
    try:
        for number, gateway in enumerate(gateways, 1):
            share(gateway, url, redis.url, name=f"box-{number}")
        gateways[0].must("database", "migrate")
        with endings.providers() as given:
            for gateway in gateways:
                gateway.must("up")
                endings.serve(gateway, given)
            key = create(gateways[0], "--alias", "ends", "--max-budget", endings.BUDGET, "--budget-duration", "30d")
            endings.misbehave(given)
            kills = endings.kills(gateways, SEED) | {
                "redis": partial(redis.restart, signal.SIGKILL),
                "redis frozen": partial(frozen, redis),
                "postgres": partial(away, postgres, gateways[0]),
            }
            seen = endings.play(endings.Clients(gateways, key, SEED), kills, MANY, SEED)
            print(f"{seen.many} endings: {dict(sorted(seen.statuses.items()))}")
            database = open.engine(url)
            try:
                endings.require_exact(gateways, database, seen)
            finally:
                database.dispose()
    finally:
        for gateway in gateways:
            gateway.destroy()


def frozen(redis: Redis) -> None:
    """What was asked of it has its effect when nobody waits for the answer any more."""
    redis.freeze()
    try:
        time.sleep(1)
    finally:
        redis.thaw()


def away(postgres: Postgres, gateway: Gateway) -> None:
    """Crashed, and its gateway loses a worker and the accountant with what they had to write, before it is back."""
    postgres.stop(signal.SIGQUIT)
    try:
        time.sleep(1)
        endings.kill_accountant(gateway)
        endings.kill_worker(gateway)
        time.sleep(1)
    finally:
        postgres.start()
