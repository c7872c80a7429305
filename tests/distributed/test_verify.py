"""`aiops verify --suite distributed`: green where three gateways keep together what they promise, red where one does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from aiops.demo.child import DemoProvider
from tests.distributed.replicas import replicas
from tests.kit.gateway import Gateway
from tests.kit.postgres import Postgres
from tests.kit.redis import Redis

BOXES = ("box-1", "box-2", "box-3")


@pytest.fixture(scope="module")
def three(stores: tuple[Postgres, Redis], provider: DemoProvider) -> Iterator[list[Gateway]]:
    postgres, redis = stores
    with replicas(3, postgres.database(), redis.url, provider.url) as made:
        yield made


def test_three_replicas_that_share_everything_pass(three: list[Gateway]) -> None:
    done = three[0].say("verify", "--suite", "distributed")
    print(done.out, done.err, done.seconds)
    assert done.code == 0
