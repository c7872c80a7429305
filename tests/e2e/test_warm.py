"""The warm processes: what is forked from them is a process of its own, and nothing outlives the session."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from aiops.host.process import is_alive
from tests.kit.gateway import Gateway, processes
from tests.kit.waiting import until
from tests.kit.warm.product import AIOPS, ROOT
from tests.kit.warm.session import SWITCH, starts

pytestmark = pytest.mark.skipif(bool(os.environ.get(SWITCH)), reason="everything is started for real")


def of(pid: int, name: str) -> list[str]:
    """The strings in a file of /proc."""
    return Path(f"/proc/{pid}/{name}").read_text().rstrip("\0").split("\0")


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_forked_master_is_a_process_of_its_own(running: Gateway) -> None:
    master = running.master
    assert "tests.kit.warm" in of(parent(master), "cmdline"), "it was forked"
    argv = of(master, "cmdline")
    assert argv[:5] == [sys.executable, "-m", "aiops.gateway", "--host", "127.0.0.1"]
    assert argv[argv.index("--state") + 1] == str(running.home / "state")
    assert os.getsid(master) == os.getpgid(master) == master
    assert Path(f"/proc/{master}/cwd").readlink() == Path("/")
    descriptors = {fd.name: str(fd.readlink()) for fd in Path(f"/proc/{master}/fd").iterdir()}
    assert descriptors["0"] == os.devnull
    assert {descriptors["1"], descriptors["2"]} == {str(running.home / "logs" / "gateway.log")}
    assert not [where for where in descriptors.values() if "aiops-warm-" in where]


def test_a_forked_command_line_has_its_own_environment_directory_and_exit_code(tmp_path: Path) -> None:
    told = starts.run(
        [AIOPS, "history"], 30, cwd=tmp_path, env={"AIOPS_HOME": "below"}, stderr=subprocess.PIPE, text=True
    )
    assert told.returncode == 4
    assert "there is no instance in " in told.stderr
    assert "below/config" in told.stderr


def test_what_ends_by_a_signal_is_told_so(empty: Gateway) -> None:
    (empty.home / "logs" / "gateway.log").touch()
    child = starts.popen(empty.argv("logs", "--follow"), env=empty.env, stdout=subprocess.PIPE)
    try:
        assert of(child.pid, "cmdline") == empty.argv("logs", "--follow")
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.2)
        assert child.poll() is None
    finally:
        child.kill()
    assert child.wait(10) == -signal.SIGKILL


SESSION = textwrap.dedent(
    """
    import os, sys, time
    from tests.kit.gateway import Gateway
    from tests.kit.warm import session

    warm = session.Warm()
    os.environ[session.DIRECTORY] = str(warm.directory)
    gateway = Gateway()
    gateway.init()
    gateway.up()
    print(gateway.home, warm.directory, gateway.master, *gateway.workers(), *warm.pids, flush=True)
    time.sleep(600)
    """
)


def test_a_session_that_is_killed_leaves_no_process_behind() -> None:
    """Not the workers either, which outlive their master wherever else it ends."""
    with subprocess.Popen([sys.executable, "-c", SESSION], cwd=ROOT, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        home, directory, *pids = killed.stdout.readline().split()
        killed.kill()
    assert len(pids) == 4, "a master, a worker, and the two that they and their command line were forked from"
    # Who adopts them may have no time to bury them: what has ended has ended.
    until(lambda: not any(is_alive(int(pid)) for pid in pids), 10, "the end of all of them")
    assert not processes(home)
    shutil.rmtree(home)
    assert not Path(directory).exists()
