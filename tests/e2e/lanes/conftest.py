"""One gateway for whatever goes wrong: each test leaves it as it was, and that is looked at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.lanes.asking import require_exact, require_rest
from tests.e2e.lanes.place import Place, place
from tests.e2e.lanes.upstream import Upstream


@pytest.fixture(scope="package")
def gateway() -> Iterator[Place]:
    with place() as made:
        yield made
        require_exact(made)


@pytest.fixture
def provider(gateway: Place) -> Upstream:
    """Of the direct lane."""
    return gateway.upstreams["direct"]


@pytest.fixture
def rest(gateway: Place) -> Iterator[None]:
    gateway.forget()
    yield
    require_rest(gateway)
