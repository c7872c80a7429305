"""Real hosts for tests. See README.md for what can be done with one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.lab import machine
from tests.lab.command import LabError
from tests.lab.host import Host, Traits
from tests.lab.image import image
from tests.lab.lab import Lab
from tests.lab.places import own_name

_refused: list[LabError] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A first test also makes its hosts, and an image for containers: minutes, where another machine is slower."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(900))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Install and build before the first test: it takes minutes once, and no test's time limit is meant for that."""
    here = Path(__file__).parent
    if session.config.option.collectonly or not any(here in item.path.parents for item in session.items):
        return
    try:
        machine.prepare()
        image()
    except LabError as refused:
        _refused.append(refused)


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """An empty lab: ``lab.up("a", "b")`` starts hosts. All of them are gone when the session ends."""
    if _refused:
        # In CI a prerequisite that is missing is a failure, not a skip.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(_refused[0]))
    with Lab(own_name("t")) as lab:
        yield lab


@pytest.fixture(scope="session")
def host(lab: Lab) -> Host:
    """One running host for everybody: leave it running and as it was."""
    return lab.up("shared")[0]


_numbers = count(1)


@pytest.fixture
def new_host(lab: Lab) -> Iterator[Callable[..., Host]]:
    """``new_host()`` boots a host for this test alone (0.5 s), to do anything to. It takes Traits."""
    made: list[Host] = []

    def boot(traits: Traits = Traits()) -> Host:  # noqa: B008  frozen
        (host,) = lab.up(f"n{next(_numbers)}", traits=traits)
        made.append(host)
        return host

    yield boot
    for host in made:
        lab.remove(host)


@pytest.fixture
def own_host(new_host: Callable[..., Host]) -> Host:
    """A host for this test alone."""
    return new_host()
