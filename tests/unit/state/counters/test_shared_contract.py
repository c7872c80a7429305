"""The shared counters keep the contract."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiops.state.counters.shared import Shared
from tests.kit.counters.clock import Clock
from tests.kit.counters.contract import Contract, Desk


class TestShared(Contract):
    @pytest.fixture
    def desk(self, tmp_path: Path) -> Iterator[Desk]:
        clock = Clock()
        counters = Shared(tmp_path / "counters", size=1 << 20, clock=clock)
        clock.pass_by(0.25)
        with asyncio.Runner() as run:
            yield Desk(counters, clock, run)
        counters.close()
