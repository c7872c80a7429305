"""The counters in Redis keep the contract."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from aiops.state.counters.redis import Redis
from tests.kit.counters.clock import Clock
from tests.kit.counters.contract import Contract, Desk


class TestRedis(Contract):
    @pytest.fixture
    def desk(self, redis_url: str) -> Iterator[Desk]:
        clock = Clock()
        counters = Redis(redis_url, connect=10, command=10, clock=clock)
        with asyncio.Runner() as run:
            run.run(counters.epoch())
            clock.pass_by(0.25)
            yield Desk(counters, clock, run)
            run.run(counters.close())
