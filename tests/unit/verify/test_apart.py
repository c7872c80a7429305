"""That the management API is on its own port, asks for a key there, and is nowhere else: each check can be red."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

import pytest

from aiops.verify.client import Client
from aiops.verify.suites import MANAGED, apart
from tests.unit.verify.answering import answering

READY = "/_health/ready"
Serve = Callable[[Mapping[str, int]], Client]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A port that answers with these codes by path, whoever asks, and else with 404."""
    with ExitStack() as stack:

        def serving(codes: Mapping[str, int]) -> Client:
            url = stack.enter_context(answering(lambda path: (codes.get(path, 404), {"status": "ready"})))
            return Client("sk-none", 5.0, url=url)

        yield serving


@pytest.mark.parametrize(
    ("public", "admin", "failed"),
    [
        ({}, {READY: 200, MANAGED: 401}, set()),
        ({MANAGED: 401}, {READY: 200, MANAGED: 401}, {"admin:not-public"}),
        ({}, {READY: 200, MANAGED: 200}, {"admin:auth:missing-key", "admin:auth:wrong-key"}),
        ({}, {READY: 503, MANAGED: 401}, {"admin:ready"}),
        ({}, {}, {"admin:ready", "admin:auth:missing-key", "admin:auth:wrong-key"}),
    ],
)
def test_the_management_api_is_where_it_should_be_and_nowhere_else(
    serve: Serve, public: dict[str, int], admin: dict[str, int], failed: set[str]
) -> None:
    checks = apart(serve(public), serve(admin), lambda _: None)
    assert len(checks) == 4
    assert {check.id for check in checks if check.status == "fail"} == failed
