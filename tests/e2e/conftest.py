"""One gateway per module, because starting one takes five seconds; always taken down, whatever happened."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aiops.demo.child import DemoProvider
from tests.kit.gateway import Gateway, serving


@pytest.fixture(scope="module")
def empty() -> Iterator[Gateway]:
    """An instance that was made and never started."""
    instance = Gateway()
    try:
        instance.init()
        yield instance
    finally:
        instance.destroy()


@pytest.fixture(scope="module")
def one() -> Iterator[DemoProvider]:
    """The provider `one`: serves `alpha` and `beta`."""
    with DemoProvider.double(models=("alpha", "beta")) as provider:
        yield provider


@pytest.fixture(scope="module")
def two() -> Iterator[DemoProvider]:
    """A second provider, which each test adds as it likes: serves `gamma` and `delta`."""
    with DemoProvider.double(models=("gamma", "delta")) as provider:
        yield provider


@pytest.fixture(scope="module")
def running(one: DemoProvider) -> Iterator[Gateway]:
    """A gateway that serves the provider `one`: generation 2, after the empty first one."""
    with serving(one.url, "alpha", "beta") as instance:
        yield instance


@pytest.fixture
def gateway(running: Gateway, one: DemoProvider) -> Iterator[Gateway]:
    """The module's gateway, brought back afterwards to what it served before the test."""
    before = running.status["generation"]
    yield running
    one.control(mode="ok", delay=0, tokens=8, chunk_delay=0, paths=[])
    if running.status["generation"] != before:
        running.must("rollback", before, "--reason", "the test is over", "--force")
