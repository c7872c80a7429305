"""One change at a time: the second waits and says for whom, and no dead process ever holds the lock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from aiops.apply import lock
from aiops.errors import Precondition

HOLD = """
import sys, time, pathlib
from aiops.apply import lock
with lock.held(pathlib.Path(sys.argv[1]), "apply", 1, print):
    print("held", flush=True)
    time.sleep(60)
"""


def hold(state: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(state)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "held\n"
    return child


def test_it_names_its_holder_while_it_is_held(tmp_path: Path) -> None:
    assert lock.holder(tmp_path) is None
    with lock.held(tmp_path, "apply", 0, lambda _: None):
        holder = lock.holder(tmp_path)
        assert holder is not None
        assert (holder.pid, holder.verb) == (os.getpid(), "apply")
    assert lock.holder(tmp_path) is None


def test_a_second_one_waits_says_so_once_and_gives_up_naming_the_holder(tmp_path: Path) -> None:
    said: list[str] = []
    child = hold(tmp_path)
    with child:
        with pytest.raises(Precondition) as refused, lock.held(tmp_path, "rollback", 0.3, said.append):
            raise AssertionError("two hold it")
        child.kill()
    assert refused.value.exit_code == 4
    assert f"(pid {child.pid}, since " in refused.value.message
    assert len(said) == 1 and said[0].startswith("waiting for `aiops apply` by ")
    assert said[0].endswith("to finish (at most 0.3 s)")


def test_it_is_free_as_soon_as_its_holder_is_killed(tmp_path: Path) -> None:
    with hold(tmp_path) as child:
        threading.Timer(0.2, lambda: os.kill(child.pid, signal.SIGKILL)).start()
        started = time.monotonic()
        with lock.held(tmp_path, "apply", 10, lambda _: None):
            assert time.monotonic() - started < 5
    assert lock.holder(tmp_path) is None


def test_a_damaged_lock_file_keeps_nobody_out(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text('{"pid": "what')
    assert lock.holder(tmp_path) is None
    with lock.held(tmp_path, "apply", 0, lambda _: None):
        holder = lock.holder(tmp_path)
        assert holder is not None and holder.verb == "apply"
