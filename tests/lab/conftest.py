"""Real hosts for tests. See README.md for what can be done with one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.lab import machine, progress
from tests.lab.command import LabError
from tests.lab.host import Host, Traits
from tests.lab.image import compile_checkout, image
from tests.lab.lab import Lab
from tests.lab.places import own_name

_refused: list[LabError] = []


def of_the_lab(items: Iterable[pytest.Item]) -> Iterator[pytest.Item]:
    here = Path(__file__).parent
    return (item for item in items if here in item.path.parents)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Minutes, where another machine is slower. Fixtures are not charged to the test that happens to come first: they
    make its hosts, and an image for containers, and each of their steps has a limit of its own.
    """
    for item in of_the_lab(items):
        item.add_marker(pytest.mark.timeout(900, func_only=True))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Install and build before the first test: it takes minutes once, and no test's time limit is meant for that.

    With parallel workers each of them comes here before it reports what it collected: the first one makes what is
    missing, the others wait for its locks, and no test is handed out before. What it says goes past the capture.
    A module with hosts that are not plain names what Debian has to add to them, in ``PACKAGES``.
    """
    items = list(of_the_lab(session.items))
    if session.config.option.collectonly or not items:
        return
    more = {names for item in items for names in getattr(item.getparent(pytest.Module).obj, "PACKAGES", ())}
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled(), progress.shown():
        try:
            machine.prepare()
            # Those with more of Debian first: it is installed while the wheels are still being downloaded.
            for packages in sorted(more):
                image(packages)
            compile_checkout(image())
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
