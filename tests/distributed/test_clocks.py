"""Hosts whose clocks differ share limits and budgets all the same: what is counted goes by Redis' clock."""

from __future__ import annotations

from collections import Counter
from email.utils import parsedate_to_datetime
from time import time

from aiops.demo.child import DemoProvider
from tests.distributed.replicas import ask, create, replicas, while_redis_decides
from tests.kit import clocks
from tests.kit.gateway import Gateway
from tests.kit.postgres import Postgres
from tests.kit.redis import Redis
from tests.kit.servers import needed

AHEAD = 61  # seconds: a whole window further


def test_a_limit_of_60_a_minute_lets_60_pass_although_one_replicas_clock_is_61_seconds_ahead(
    stores: tuple[Postgres, Redis], provider: DemoProvider
) -> None:
    needed(clocks.missing())
    postgres, redis = stores
    with (
        replicas(3, postgres.database(), redis.url, provider.url) as three,
        clocks.ahead(three[2], AHEAD),
    ):
        assert [abs(skew(gateway)) < 5 for gateway in three] == [True, True, False]
        assert abs(skew(three[2]) - AHEAD) < 5
        statuses = while_redis_decides(three, lambda: _in_turn(three))
        assert set(statuses) == {200, 429}
        assert 59 <= statuses[200] <= 61
        for gateway in three:
            proved = gateway.must("usage", "prove")
            assert proved["ok"]
            assert len(proved["budgets"]) >= 1  # a key for each try


def _in_turn(gateways: list[Gateway]) -> Counter[int]:
    key = create(gateways[0], "--rpm-limit", 60, "--max-budget", 1000)
    return Counter(ask(gateways[number % 3], key).status_code for number in range(180))


def skew(gateway: Gateway) -> float:
    """Seconds that its worker is ahead of us, as it says itself."""
    said = parsedate_to_datetime(gateway.get("/v1/models").headers["date"])
    return said.timestamp() - time()
