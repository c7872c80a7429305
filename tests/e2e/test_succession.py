"""A master of one image makes way for a master of another. The containers are left out here: two first processes of
two containers, side by side on this machine, with everything they share. tests/lab has the containers.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aiops.gateway.shared import messages
from aiops.host import master as control
from aiops.host.master import Session
from tests.kit.gateway import Gateway
from tests.kit.waiting import until
from tests.kit.warm.session import starts
from tests.load import BackgroundLoad, Mix, Target

MIX = Mix(pause=0.02, idle_seconds=0.5)


@dataclass(frozen=True)
class Keeper:
    """What a container would run as its first process."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def __str__(self) -> str:
        return f"{self.name}:\n{self.log.read_text()}"


class Containers:
    """Their first processes and the masters of these are forked from a warm process, but for one container."""

    def __init__(self, instance: Gateway) -> None:
        self.instance = instance
        self.run = instance.home / "run"
        self._made: list[Keeper] = []

    def start(self, image: str) -> Keeper:
        name = f"aiops-test-{len(self._made) + 1}"
        argv = [sys.executable, "-m", "aiops.gateway.keeper", "--host", "127.0.0.1", "--port", str(self.instance.port)]
        for place in ("state", "run", "secrets"):
            argv += [f"--{place}", str(self.instance.home / place)]
        environment = {**self.instance.env, "AIOPS_CONTAINER": name, "AIOPS_IMAGE": f"image-{image}"}
        log = self.instance.home / f"{name}.log"
        with log.open("wb") as file:
            process = starts.popen(argv, env=environment, stdout=file, stderr=file, start_new_session=True)
        made = Keeper(name, process, log)
        self._made.append(made)
        return made

    def invite(self, image: str, hold: float) -> Keeper:
        """A container that is to take over from the one that serves, and does."""
        name = f"aiops-test-{len(self._made) + 1}"
        invitation = {"container": name, "token": "t", "hold": hold}
        (self.run / "successor.json").write_text(json.dumps(invitation))
        made = self.start(image)
        until(lambda: self.serving() == name, 60, f"{made}")
        return made

    def status(self) -> dict[str, Any]:
        return status.plain() if (status := control.status(self.run)) else {}

    def serving(self) -> str | None:
        return self.status().get("container")

    def keeper(self, name: str | None) -> Keeper:
        return next(made for made in self._made if made.name == name)

    def stop(self) -> None:
        for made in self._made:
            if made.process.poll() is None:
                made.process.send_signal(signal.SIGTERM)
        for made in self._made:
            with suppress(subprocess.TimeoutExpired):
                made.process.wait(20)
            made.process.kill()


@pytest.fixture(scope="module")
def containers(running: Gateway) -> Iterator[Containers]:
    """One container that serves `alpha`. The tests follow each other, because a start takes seconds."""
    running.must("down")
    made = Containers(running)
    first = made.start("aaaa")
    until(lambda: made.status().get("state") == "serving" and not made.status()["change"], 60, f"{first}")
    yield made
    made.stop()


@pytest.fixture
def load(containers: Containers) -> Iterator[None]:
    """Clients for as long as the test lasts, none of which may lose anything."""
    instance = containers.instance
    with BackgroundLoad(Target(instance.url, instance.key, "alpha"), MIX) as background:
        yield
    report = background.report
    assert (report.failed, report.truncated) == (0, 0), json.dumps(report.as_dict(), indent=1)
    assert report.requests > 50


def again(containers: Containers, session: Session) -> None:
    """Stage and promote what serves, in the master there is now."""
    current = (containers.instance.home / "state/current").resolve()
    session.call(messages.Stage(str(current)), timeout=60)
    session.call(messages.Promote(20.0), timeout=30)


def test_a_container_that_nobody_invited_takes_nothing_over(containers: Containers) -> None:
    old = containers.serving()
    stranger = containers.start("cccc")
    assert stranger.process.wait(60) == 0
    assert containers.serving() == old


@pytest.mark.parametrize("asked", [True, False], ids=["asked to", "whoever asked is gone"])
def test_without_a_confirmed_change_everything_goes_back(containers: Containers, load: None, asked: bool) -> None:
    old, master = containers.serving(), containers.status()["pid"]
    new = containers.invite("bbbb", hold=30.0)
    with Session(containers.run) as session:
        again(containers, session)
        if asked:
            session.call(messages.Revert("a test"), timeout=30)
            session.call(messages.Back())
    until(lambda: containers.serving() == old, 30, f"{new}")
    assert containers.status()["pid"] == master
    assert new.process.wait(30) == 0, f"{new}"


def test_a_new_master_that_is_killed_on_approval_leaves_the_old_one_serving(containers: Containers, load: None) -> None:
    old = containers.serving()
    new = containers.invite("bbbb", hold=30.0)
    with Session(containers.run) as session:
        again(containers, session)
        os.kill(containers.status()["pid"], signal.SIGKILL)
    until(lambda: containers.serving() == old, 30, f"{new}")
    assert new.process.wait(60) == 0, f"its keeper starts no other beside the one that serves\n{new}"
    assert containers.status()["state"] == "serving"


@pytest.mark.real_start
def test_once_a_change_is_confirmed_the_new_one_stays_and_the_old_container_ends(
    containers: Containers, load: None
) -> None:
    old = containers.keeper(containers.serving())
    new = containers.invite("bbbb", hold=30.0)
    assert containers.status()["on_approval"]
    with Session(containers.run) as session:
        again(containers, session)
        session.call(messages.Confirm(), timeout=30)
    assert old.process.wait(30) == 0, f"{old}"
    assert (containers.serving(), containers.status()["runtime"]) == (new.name, "image-bbbb")
    assert not containers.status()["on_approval"]


def test_for_good_the_old_master_leaves_its_workers_and_no_other_follows_it(containers: Containers, load: None) -> None:
    old = containers.keeper(containers.serving())
    new = containers.invite("dddd", hold=0.0)
    assert old.process.wait(30) == 0, f"{old}"
    until(lambda: containers.status().get("state") == "serving", 30, f"{new}")
    assert not containers.status()["orphans"]
