"""A full disk and a read-only one, from every step on: refused or taken back, said in words, and nothing lost."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiops.apply.transaction import STEPS
from tests.e2e.keys import keys_of
from tests.faults.harness import Fault, Faulty, gateway
from tests.kit.waiting import until

SIZE = 12 * 1024 * 1024
# At these nothing can be written and something has to be.
WRITES = ("begin", "generation", "sources")
from_each_step_on = pytest.mark.parametrize("step", STEPS)


def can_mount() -> bool:
    with tempfile.TemporaryDirectory() as directory:
        tried = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", directory], capture_output=True)
        return tried.returncode == 0 and subprocess.run(["umount", directory]).returncode == 0


@pytest.fixture(scope="module")
def on_a_small_disk() -> Iterator[Faulty]:
    if not can_mount():
        assert "CI" not in os.environ, "mounting a file system needs root"
        pytest.skip("mounting a file system needs root")
    with gateway(disk=SIZE) as made:
        yield made


@pytest.fixture
def here(on_a_small_disk: Faulty) -> Iterator[Faulty]:
    on_a_small_disk.recover()
    yield on_a_small_disk
    _mend(on_a_small_disk)


@from_each_step_on
def test_a_full_disk(here: Faulty, step: str) -> None:
    before, files, name = here.current, here.files(), here.new_name()
    words = here.adding_one(name)
    with here.watched() as users:
        ran = here.run(*words, fault=Fault("fill-disk", step, "before"))
    assert users.failed == []
    if ran.code == 0:
        assert step not in WRITES, ran
        assert here.current > before
    else:
        assert ran.code in (4, 5), ran
        assert "No space left on device" in ran.err
        assert "hint: the disk is full: `df -h` shows which one" in ran.err
        assert here.files() == files
        assert here.current == here.serving() == before
    _mend(here)
    again = here.ok(*words) if ran.code else here.ok("apply")
    assert again.code == 0
    here.require_consistent()
    assert name.encode() in here.files()["providers.yaml"]


@pytest.mark.parametrize("step", ["secrets", "prove", "confirm", "commit"])
def test_a_full_disk_does_not_keep_a_failed_change_from_being_taken_back(here: Faulty, step: str) -> None:
    before, files = here.current, here.files()
    with here.watched() as users:
        ran = here.run(*here.adding_one(here.new_name()), fault=Fault("fill-disk-and-close-session", step, "before"))
    assert users.failed == []
    assert ran.code in (4, 5, 7), ran
    assert here.files() == files
    assert here.current == here.serving() == before
    _mend(here)
    here.ok("apply")
    here.require_consistent()


@from_each_step_on
def test_a_read_only_disk(here: Faulty, step: str) -> None:
    before, files, name = here.current, here.files(), here.new_name()
    words = here.adding_one(name)
    with here.watched() as users:
        ran = here.run(*words, fault=Fault("make-read-only", step, "before"))
    assert users.failed == []
    if STEPS.index(step) > STEPS.index("commit"):
        assert ran.code == 0, ran
        assert "warning: live, but not tidied up (Read-only file system)" in ran.err
    else:
        # What was replaced already cannot be put back before the disk is mended: 6 says so.
        assert ran.code == 6 if step in ("keys", "commit") else ran.code in (4, 5, 7), ran
        assert "Read-only file system" in ran.err
        assert here.current == here.serving() == before
        if ran.code != 6:
            assert here.files() == files
    _mend(here)
    here.ok(*words)
    here.require_consistent()
    assert name.encode() in here.files()["providers.yaml"]


@pytest.mark.parametrize("number", [1, 6, 11, 16])
def test_a_disk_that_breaks_down(here: Faulty, number: int) -> None:
    """From the n-th write on nothing is stored any more. Whatever the verb says, the next one finds the truth."""
    before = here.current
    with here.watched() as users:
        ran = here.run(*here.adding_one(here.new_name()), fault={"fsync": number})
    assert users.failed == []
    assert ran.code in (0, 4, 5, 6), ran
    if ran.code:
        assert "Input/output error" in ran.err
        assert here.current == before
    here.ok("apply")
    here.require_consistent()


def _mend(here: Faulty) -> None:
    while os.path.ismount(here.home) and _mounts(here) > 1:
        subprocess.run(["umount", str(here.home)], check=True)
    (here.home / "filler").unlink(missing_ok=True)


def _mounts(here: Faulty) -> int:
    return sum(line.split()[1] == str(here.home) for line in Path("/proc/self/mounts").read_text().splitlines())


def test_counters_for_which_there_is_no_room_keep_nobody_out_and_count_when_there_is(here: Faulty) -> None:
    """As at a first start on a full disk: who may ask is known all the same, by workers and an accountant that live."""
    with keys_of(here) as keys:
        known, limited, late = keys.make(), keys.make(rpm_limit=3), keys.make()
        assert here.listed(known) == 200
        before = [here.accountant, *here.workers()]
        shutil.rmtree(here.home / "state" / "counters")
        _fill(here)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        until(lambda: shutil.disk_usage(here.home).free > 0, 5, "the room that their counters had")
        _fill(here)
        until(lambda: here.accountant not in (0, before[0]), 20, "another accountant")
        until(lambda: here.listed(limited) == 200, 20, "a key that the new worker has to ask for")
        accountant = here.accountant
        assert [here.asked(limited) for _ in range(5)] == [200] * 5  # nobody is refused for a fault of ours
        time.sleep(3)  # it would have been started again by now, several times
        assert (here.accountant, here.listed(late)) == (accountant, 200)
        assert "the counters cannot be opened, and are tried again" in (here.home / "logs" / "gateway.log").read_text()
        _mend(here)
        until(lambda: (here.home / "state" / "counters" / "counters.mdb").exists(), 20, "the counters")
        until(lambda: here.asked(limited) == 429, 20, "the limit to hold")
        assert here.accountant == accountant
        assert len(keys.used(limited, 8)) >= 8  # those that were asked on the full disk among them


def test_counters_are_not_opened_where_a_write_into_their_map_would_kill(tmp_path: Path) -> None:
    """A map that finds no room dies of SIGBUS: whatever little room there is."""
    if not can_mount():
        assert "CI" not in os.environ, "mounting a file system needs root"
        pytest.skip("mounting a file system needs root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "aiops-faults", str(tmp_path)], check=True)
    opens = (
        "import asyncio, sys; from pathlib import Path; from aiops.state.counters.opened import opened;"
        "print(asyncio.run(opened(Path(sys.argv[1]), None, print).deciding.epoch()))"
    )
    try:
        for room in (0, 1, 2, 3, 4, 20, 200, 1020):
            shutil.rmtree(tmp_path / "counters", ignore_errors=True)
            fill(tmp_path / "filler", room * 4096)
            done = subprocess.run([sys.executable, "-c", opens, str(tmp_path)], capture_output=True, text=True)
            assert done.returncode == 1, f"{room} pages: {done}"
            assert f"{tmp_path / 'counters'}: No space left on device" in done.stdout, f"{room} pages: {done}"
            (tmp_path / "filler").unlink()
            done = subprocess.run([sys.executable, "-c", opens, str(tmp_path)], capture_output=True, text=True)
            assert done.returncode == 0, f"{room} pages: {done}"
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def _fill(here: Faulty) -> None:
    fill(here.home / "filler", 0)


def fill(filler: Path, room: int) -> None:
    """Take all of a disk but ``room`` bytes."""
    with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    os.truncate(filler, filler.stat().st_size - room)
