"""The shared counters do what the model does, whatever is asked in whatever order."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, settings

from aiops.state.counters.meters import Counters
from aiops.state.counters.shared import Shared
from tests.kit.counters.clock import Clock
from tests.kit.counters.machine import Machine

# `scripts/test soak` plays thousands of games.
EXAMPLES = int(os.environ.get("AIOPS_COUNTERS_EXAMPLES", "200"))


class SharedMachine(Machine):
    @staticmethod
    def made(loop: asyncio.AbstractEventLoop, clock: Clock) -> tuple[Counters, Callable[[], None]]:
        directory = Path(tempfile.mkdtemp(prefix="aiops-counters-"))
        counters = Shared(directory, size=1 << 20, clock=clock)

        def end() -> None:
            counters.close()
            shutil.rmtree(directory)

        return counters, end


TestSharedCountersAreTheModel = SharedMachine.TestCase
TestSharedCountersAreTheModel.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
