"""One gateway for everything: a start costs five seconds. Only the tests of the disk need one on a disk of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.harness import Faulty, gateway


@pytest.fixture(scope="session")
def running() -> Iterator[Faulty]:
    with gateway() as made:
        yield made


@pytest.fixture
def here(running: Faulty) -> Faulty:
    """The gateway, with a master, and as it should be."""
    running.recover()
    return running
