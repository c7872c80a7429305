"""The warm processes of the session, and which tests go without (see tests/kit/warm)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.kit.warm import session
from tests.kit.warm.session import starts

# These drive gateways: imports begin as soon as one of them has been collected.
DRIVING = {"e2e", "faults", "docs"}
# Files of e2e that take most of a minute and more, `--durations=40` of a whole run.
SLOWEST_FIRST = (
    "test_upgrade",
    "test_import",
    "test_process",
    "test_routing_faults",
    "test_proofs",
    "test_succession",
    "test_change_loop",
    "test_live_traffic",
    "test_privacy",
)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Before pytest-xdist starts its workers, which inherit where the warm processes are."""
    if not _is_worker(session.config) and not session.config.option.collectonly:
        _start(session.config)


def _start(config: pytest.Config) -> None:
    if os.environ.get(session.SWITCH):
        return
    warm = session.Warm()
    os.environ[session.DIRECTORY] = str(warm.directory)
    config.add_cleanup(warm.stop)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order in which pytest-xdist hands out files: a long one at the end would leave the other worker idle."""
    slow = {("e2e", name): rank for rank, name in enumerate(SLOWEST_FIRST)}
    items.sort(key=lambda item: slow.get((_part(item.path), item.path.stem), len(slow)))


def pytest_collection_finish(session: pytest.Session) -> None:
    if any(_part(item.path) in DRIVING for item in session.items):
        starts.prepare()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    starts.masters_for_real = item.get_closest_marker("real_start") is not None


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _part(path: Path) -> str:
    here = Path(__file__).parent
    return path.relative_to(here).parts[0] if path.is_relative_to(here) else ""
