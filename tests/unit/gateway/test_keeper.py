"""The first process of a container: it outlives its master, and ends when it is asked to. With real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Stands for the master: notes its pid; with a worker in a session of its own that serves on when it is killed.
MASTER = """
import os, signal, subprocess, sys, time
from pathlib import Path
place = Path(sys.argv[1])
with (place / "masters").open("a") as file:
    file.write(f"{os.getpid()}\\n")
if (place / "code").exists():
    sys.exit(int((place / "code").read_text()))
if not (place / "worker").exists():
    worker = subprocess.Popen(["sleep", "60"], start_new_session=True)
    (place / "worker").write_text(str(worker.pid))
def stop(*_):
    os.kill(int((place / "worker").read_text()), signal.SIGKILL)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
(place / "ready").touch()
while True:
    time.sleep(0.05)
"""
KEEPER = """
import sys
from aiops.gateway import keeper
keeper.PAUSES = tuple(map(float, sys.argv[2:])) or keeper.PAUSES
sys.exit(keeper.Keeper([sys.executable, "-c", open(sys.argv[1] + "/master.py").read(), sys.argv[1]]).run())
"""


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "master.py").write_text(MASTER)
    return tmp_path


@pytest.fixture
def keeper(place: Path) -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen([sys.executable, "-c", KEEPER, str(place)])
    yield child
    child.kill()
    child.wait()
    # They outlive it, as they should.
    left = [*map(str, masters(place)), *([(place / "worker").read_text()] if (place / "worker").exists() else [])]
    subprocess.run(["kill", "-9", *left], capture_output=True, check=False)


def is_gone(pid: int) -> bool:
    """Ended, and collected by its parent."""
    return not Path(f"/proc/{pid}").exists()


def masters(place: Path) -> list[int]:
    path = place / "masters"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def test_a_killed_master_is_followed_by_another_and_its_worker_serves_on(
    keeper: subprocess.Popen[bytes], place: Path
) -> None:
    until((place / "ready").exists)
    os.kill(masters(place)[0], signal.SIGKILL)
    until(lambda: len(masters(place)) == 2)
    os.kill(int((place / "worker").read_text()), 0)
    assert keeper.poll() is None


def test_asked_to_stop_it_asks_the_master_and_ends_with_it(keeper: subprocess.Popen[bytes], place: Path) -> None:
    until((place / "ready").exists)
    keeper.terminate()
    assert keeper.wait(15) == 0
    assert len(masters(place)) == 1


def test_where_trying_again_is_of_no_use_it_ends_with_the_masters_own_code(place: Path) -> None:
    (place / "code").write_text("4")
    assert subprocess.run([sys.executable, "-c", KEEPER, str(place)], timeout=20, check=False).returncode == 4
    assert len(masters(place)) == 1


def test_when_another_container_serves_it_waits_for_its_workers_and_starts_no_other_master(
    keeper: subprocess.Popen[bytes], place: Path
) -> None:
    until((place / "ready").exists)
    (place / "code").write_text("3")
    os.kill(masters(place)[0], signal.SIGKILL)
    until(lambda: len(masters(place)) == 2)
    with pytest.raises(subprocess.TimeoutExpired):
        keeper.wait(0.5)
    os.kill(int((place / "worker").read_text()), signal.SIGKILL)
    assert keeper.wait(15) == 0
    assert len(masters(place)) == 2


def test_asked_to_stop_while_only_workers_are_left_it_asks_them(keeper: subprocess.Popen[bytes], place: Path) -> None:
    until((place / "ready").exists)
    (place / "code").write_text("3")
    os.kill(masters(place)[0], signal.SIGKILL)
    until(lambda: len(masters(place)) == 2 and is_gone(masters(place)[1]))
    keeper.terminate()
    assert keeper.wait(15) == 0


def test_asked_to_stop_while_there_is_no_master_it_starts_none_and_lets_the_workers_finish(place: Path) -> None:
    """The pause before the next master is longer than any engine waits."""
    with subprocess.Popen([sys.executable, "-c", KEEPER, str(place), "600"]) as keeper:
        try:
            until((place / "ready").exists)
            (master,) = masters(place)
            os.kill(master, signal.SIGKILL)
            until(lambda: is_gone(master))
            keeper.terminate()
            assert keeper.wait(15) == 128 + signal.SIGKILL
            assert is_gone(int((place / "worker").read_text())), "it has finished, and was not left behind"
            assert masters(place) == [master]
        finally:
            keeper.kill()
