"""What the unit of a container runs: the real program, with an engine that has no containers."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aiops.host.container_unit import stop
from aiops.host.engines import Engine

# `containers` is what it answers once about them when there is a `then`; from then on it is that. A container that is
# attached to ends with the code in the file of its name.
PROGRAM = """#!/bin/sh
cd {place}
echo "$@" >>told
case $1 in
    ps) echo any ;;
    container)
        cat containers
        if [ -e then ]; then mv then containers; fi ;;
    start)
        while [ ! -e "$3" ]; do sleep 0.05; done
        exit "$(cat "$3")" ;;
esac
"""
FIRST, SECOND = "aiops-x-1|running|image-a|1\n", "/aiops-x-2|running|image-b|2\n"


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    program = tmp_path / "engine"
    program.write_text(PROGRAM.format(place=tmp_path))
    program.chmod(0o755)
    return Engine(str(program))


def told(tmp_path: Path) -> list[str]:
    path = tmp_path / "told"
    return path.read_text().splitlines() if path.exists() else []


def test_a_stop_ends_what_runs(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "containers").write_text(FIRST.replace("running", "exited") + SECOND)
    stop(engine, "aiops-x", tmp_path, restarting=False, within=7)
    assert told(tmp_path)[-1] == "stop --time=7 aiops-x-2"


def test_a_restart_that_restarts_nothing_says_so_and_ends_no_container(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stop(engine, "aiops-x", tmp_path, restarting=True, within=7)
    assert capsys.readouterr().err == "the gateway is not restarted: the gateway is not running\n"
    assert told(tmp_path) == []


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def attached(tmp_path: Path) -> list[str]:
    """The containers that were attached to, one after the other."""
    return [line.split()[2] for line in told(tmp_path) if line.startswith("start --attach ")]


@pytest.fixture
def unit(engine: Engine, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Attached to the first container."""
    (tmp_path / "containers").write_text(FIRST)
    argv = [sys.executable, "-m", "aiops.host.container_unit", "run", "--engine", engine.path]
    with subprocess.Popen([*argv, "--instance", "aiops-x", "--state", str(tmp_path / "state")]) as child:
        until(lambda: attached(tmp_path) == ["aiops-x-1"])
        yield child
        for name in ("aiops-x-1", "aiops-x-2"):
            (tmp_path / name).write_text("0")
        child.terminate()


def test_it_ends_with_its_container_and_as_it_did(unit: subprocess.Popen[bytes], tmp_path: Path) -> None:
    (tmp_path / "aiops-x-1").write_text("7")
    assert unit.wait(20) == 7


def test_it_goes_on_with_the_container_that_took_over(unit: subprocess.Popen[bytes], tmp_path: Path) -> None:
    (tmp_path / "containers").write_text(FIRST + SECOND)
    unit.send_signal(signal.SIGHUP)
    until(lambda: attached(tmp_path) == ["aiops-x-1", "aiops-x-2"])
    (tmp_path / "aiops-x-2").write_text("0")
    assert unit.wait(20) == 0


def test_a_container_that_ends_because_another_took_over_is_no_end(
    unit: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    (tmp_path / "containers").write_text(FIRST.replace("running", "exited") + SECOND)
    (tmp_path / "aiops-x-1").write_text("0")
    until(lambda: attached(tmp_path) == ["aiops-x-1", "aiops-x-2"])
    assert unit.poll() is None


def test_when_the_other_one_gives_back_at_that_moment_it_stays_with_its_own(
    unit: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    (tmp_path / "then").write_text(FIRST)
    (tmp_path / "containers").write_text(FIRST + SECOND)
    unit.send_signal(signal.SIGHUP)
    until(lambda: attached(tmp_path) == ["aiops-x-1", "aiops-x-1"])
    assert unit.poll() is None


def test_asked_to_end_it_leaves_the_container_alone(unit: subprocess.Popen[bytes], tmp_path: Path) -> None:
    unit.terminate()
    assert unit.wait(20) == 0
    assert not [line for line in told(tmp_path) if line.startswith("stop")]
