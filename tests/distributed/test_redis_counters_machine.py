"""The counters in Redis do what the model does, whatever is asked in whatever order."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from aiops.state.counters.meters import Counters
from aiops.state.counters.redis import Redis
from tests.kit.counters.clock import Clock
from tests.kit.counters.machine import Machine

# `scripts/test soak` plays thousands of games.
EXAMPLES = int(os.environ.get("AIOPS_COUNTERS_EXAMPLES", "100"))


def test_counters_in_redis_are_the_model(redis_url: str) -> None:
    numbers = itertools.count()

    class RedisMachine(Machine):
        @staticmethod
        def made(loop: asyncio.AbstractEventLoop, clock: Clock) -> tuple[Counters, Callable[[], None]]:
            # Time-outs of their own: this is about what is counted, on a machine that may be busy.
            counters = Redis(redis_url, prefix=f"machine{next(numbers)}:", connect=10, command=10, clock=clock)
            loop.run_until_complete(counters.epoch())  # born when the model was
            return counters, lambda: loop.run_until_complete(counters.close())

    run_state_machine_as_test(
        RedisMachine,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
