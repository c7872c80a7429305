"""What happens between promote and confirm, two verbs at once, hand edits in the middle, workers that keep dying."""

from __future__ import annotations

import itertools
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiops.actions.service.status import look
from aiops.apply.transaction import STEPS
from tests.faults.harness import Fault, Faulty
from tests.kit.waiting import until

HAND_EDIT = b"# written by hand\n"
CONFIRM_SECONDS = 3  # longer than a busy machine takes to prove what is public


@pytest.fixture
def hasty(here: Faulty) -> Iterator[Faulty]:
    """A gateway whose changes have to be confirmed within a few seconds."""
    file = here.instance.config / "aiops.yaml"
    before = file.read_text()
    assert "  # confirm_seconds: 30\n" in before
    file.write_text(before.replace("  # confirm_seconds: 30\n", f"  confirm_seconds: {CONFIRM_SECONDS}\n"))
    here.ok("apply")
    yield here
    file.write_text(before)
    here.ok("apply")


# --- between promote and confirm ------------------------------------------------------------------------------


@pytest.mark.parametrize("act", ["kill-cli", "hang-up"])
def test_the_master_reverts_by_itself_when_the_command_line_is_gone(here: Faulty, act: str) -> None:
    before = here.current
    with here.watched() as users:
        ran = here.run(*here.adding_one(here.new_name()), fault=Fault(act, "confirm", "before"))
        until(lambda: not here.told()["change"], 20)
        assert here.told()["generation"] == here.serving() == before
    assert ran.code in (-signal.SIGKILL, -signal.SIGHUP), ran
    assert users.failed == []
    assert any(
        "was taken back: the connection of whoever made the change was lost" in n for n in look(here.instance).notes
    )
    here.ok("apply")
    here.require_consistent()


@pytest.mark.shows("aiops.yaml: verify.confirm_seconds")
def test_the_master_reverts_by_itself_when_nobody_confirms_in_time(hasty: Faulty) -> None:
    before, name = hasty.current, hasty.new_name()
    fault = Fault("wait", "sources", "before")
    with (
        hasty.watched() as users,
        hasty.start(*hasty.adding_one(name), fault=fault, FAULT_SECONDS=str(CONFIRM_SECONDS + 3)) as child,
    ):
        hasty.wait_for_fault()
        assert hasty.told()["change"]["phase"] == "provisional"
        until(lambda: hasty.told()["change"] is None, CONFIRM_SECONDS + 1)
        assert child.poll() is None, "the command line is still there, and has not confirmed"
        assert hasty.serving() == before
        _, said = child.communicate(timeout=20)
    assert child.returncode == 5, said
    assert f"nobody confirmed within {CONFIRM_SECONDS} s" in said
    assert users.failed == []
    assert name.encode() not in hasty.files()["providers.yaml"]
    hasty.require_consistent()


@pytest.mark.real_start
def test_a_change_that_is_lost_before_a_new_master_served_leaves_what_the_dead_one_served(here: Faulty) -> None:
    before = here.current
    with here.watched() as users:
        os.kill(here.told()["pid"], signal.SIGKILL)
        until(lambda: not here.told(), 20)
        with here.start("up") as up:
            starting = until(lambda: _starting_candidate(here), 60, "the start of what is committed")
            os.kill(starting, signal.SIGSTOP)
            up.kill()
        fault = Fault("wait", "sources", "before")
        with here.start(*here.adding_one(here.new_name()), fault=fault, FAULT_SECONDS="30") as child:
            here.wait_for_fault()
            assert {here.serving() for _ in range(20)} == {here.told()["change"]["generation"]}, "nobody else accepts"
            child.kill()
        until(lambda: here.told()["change"] is None, 10)
        assert here.serving() == before
        until(lambda: here.told()["state"] == "serving", 30, "what is committed serves")
        assert here.serving() == here.told()["generation"] == before
    assert users.failed == []
    here.ok("apply")
    here.require_consistent()


def test_a_lost_control_connection_takes_the_change_back(here: Faulty) -> None:
    for step in ("prove", "promote", "confirm", "sources", "commit"):
        before, files = here.current, here.files()
        ran = here.run(*here.adding_one(here.new_name()), fault=Fault("close-session", step, "before"))
        assert ran.code in (4, 5, 7), ran
        assert here.files() == files
        here.require_consistent()
        assert here.current == before


@pytest.mark.parametrize("step", STEPS)
def test_ctrl_c_takes_the_change_back(here: Faulty, step: str) -> None:
    before, files = here.current, here.files()
    ran = here.run(*here.adding_one(here.new_name()), fault=Fault("press-ctrl-c", step, "before"))
    if STEPS.index(step) <= STEPS.index("commit"):
        assert ran.code == 130, ran
        assert f"interrupted during `{step}`" in ran.err
        assert here.files() == files
        assert here.current == before
    else:
        here.ok("apply")
        assert here.current > before
    here.require_consistent()


# --- two at once ----------------------------------------------------------------------------------------------


def test_a_second_verb_says_whom_it_waits_for_and_then_works(here: Faulty) -> None:
    first, second = here.new_name(), here.new_name()
    fault = Fault("wait", "prove", "before")
    with here.start(*here.adding_one(first), fault=fault, FAULT_SECONDS="6") as holder:
        here.wait_for_fault()
        asked = look(here.instance).notes
        impatient = here.run(*_no_mark(here, second), fault={"patience": 0.2})
        patient = here.run(*_no_mark(here, second))
        assert holder.wait(20) == 0
    named = f"`aiops add-provider` by {_who()} (pid {holder.pid}, since "
    assert any("a change is going on: " + named in note for note in asked), asked
    assert impatient.code == 4, impatient
    assert f"waiting for {named}" in impatient.err
    assert f"error: another change is going on: {named}" in impatient.err
    assert patient.code == 0, patient
    assert f"waiting for {named}" in patient.err
    here.require_consistent()
    assert all(name.encode() in here.files()["providers.yaml"] for name in (first, second))


def _no_mark(here: Faulty, name: str) -> list[str]:
    words = here.adding_one(name)
    # The first one has taken its address, but not written it down yet.
    words[words.index("--base-url") + 1] = here.providers.urls[-1]
    return words


def _who() -> str:
    from aiops.host import clock

    return clock.who()


# --- hand edits in the middle ---------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
def test_a_hand_edit_during_a_change_is_kept(here: Faulty, step: str) -> None:
    before, files = here.current, here.files()
    with here.watched() as users:
        ran = here.run(*here.adding_one(here.new_name()), fault=Fault("edit-source", step, "before"))
    assert users.failed == []
    assert here.files()["providers.yaml"].endswith(HAND_EDIT)
    if STEPS.index(step) <= STEPS.index("sources"):
        assert ran.code == 5, ran
        assert "providers.yaml was edited while this change was being made; the old generation serves again" in ran.err
        assert here.files()["providers.yaml"] == files["providers.yaml"] + HAND_EDIT
        assert here.current == here.serving() == before
    else:
        assert ran.code == 0, ran
        assert any("providers.yaml edited since" in drift for drift in look(here.instance).drift)
    assert not here.journal_open
    _take_the_edit_back(here)


@pytest.mark.parametrize("step", ["prove", "sources", "commit", "finish"])
def test_a_hand_edit_after_an_interruption_is_never_overwritten(here: Faulty, step: str) -> None:
    here.run(*here.adding_one(here.new_name()), fault=Fault("kill-cli", step, "before"))
    edited = here.files()["providers.yaml"] + HAND_EDIT
    (here.instance.config / "providers.yaml").write_bytes(edited)
    following = here.ok("apply")
    assert "providers.yaml was edited meanwhile and is left as it is" in following.err
    assert here.files()["providers.yaml"] == edited
    assert not here.journal_open
    _take_the_edit_back(here)


def _take_the_edit_back(here: Faulty) -> None:
    file = here.instance.config / "providers.yaml"
    file.write_bytes(file.read_bytes().replace(HAND_EDIT, b""))
    here.ok("apply")


# --- workers that die -----------------------------------------------------------------------------------------


def test_a_crash_loop_is_backed_off_from_and_reported(here: Faulty) -> None:
    log = here.home / "logs" / "gateway.log"
    began, away = log.stat().st_size, []
    for _ in range(4):
        worker = until(lambda: _serving_worker(here), 30)
        os.kill(worker, signal.SIGKILL)
        died = time.monotonic()
        _wait_for_another(here, worker)
        away.append(time.monotonic() - died)
    waits = [float(each) for each in re.findall(r"\(killed by signal 9\); again in (\S+) s", _since(log, began))]
    assert [later / earlier for earlier, later in itertools.pairwise(waits)] == [2, 2, 2], "each waits longer"
    assert all(gone >= wait for gone, wait in zip(away, waits, strict=True)), (away, waits)
    now = look(here.instance)
    assert now.gateway_state == "degraded"
    assert any("keep dying: killed by signal 9" in note for note in now.notes), now.notes
    assert here.serving() == here.current
    here.ok(*here.adding_one(here.new_name()))
    here.require_consistent()
    assert look(here.instance).gateway_state == "running"


def _wait_for_another(here: Faulty, worker: int) -> None:
    until(lambda: _serving_worker(here) not in (0, worker), 30)


def _since(log: Path, began: int) -> str:
    return log.read_bytes()[began:].decode()


def _serving_worker(here: Faulty) -> int:
    """The worker that answers; 0 while there is none."""
    workers = [w for g in here.told().get("groups", ()) if g["role"] == "serving" for w in g["workers"]]
    return next((worker["pid"] for worker in workers if worker["role"] == "serving"), 0)


def _starting_candidate(here: Faulty) -> int:
    workers = [w for g in here.told().get("groups", ()) if g["role"] == "candidate" for w in g["workers"]]
    return next((worker["pid"] for worker in workers if worker["role"] == "starting"), 0)


def test_a_candidate_that_dies_while_it_loads_is_refused(here: Faulty) -> None:
    before, files = here.current, here.files()
    with here.watched() as users, here.start(*here.adding_one(here.new_name())) as child:
        until(lambda: _starting_candidate(here), 20)
        os.kill(_starting_candidate(here), signal.SIGKILL)
        _, said = child.communicate(timeout=10)
    assert child.returncode == 7, said
    assert "error: the new generation does not start: a worker ended: killed by signal 9" in said
    assert users.failed == []
    assert (here.files(), here.current) == (files, before)
    here.require_consistent()


@pytest.mark.timeout(60)
def test_a_candidate_that_hangs_while_it_loads_is_given_up(here: Faulty) -> None:
    """The deadline is the estimate for its size, but at least twenty seconds."""
    before, files = here.current, here.files()
    started = time.monotonic()
    with here.start(*here.adding_one(here.new_name())) as child:
        until(lambda: _starting_candidate(here), 20)
        os.kill(_starting_candidate(here), signal.SIGSTOP)
        assert here.serving() == before
        _, said = child.communicate(timeout=40)
    assert child.returncode == 7, said
    assert re.search(r"error: the new generation does not start: not ready after 2\d s", said), said
    assert time.monotonic() - started > 19
    assert (here.files(), here.current) == (files, before)
    here.require_consistent()
