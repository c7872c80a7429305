"""SIGKILL of everybody who takes part in a change, at every step: users notice nothing, and the files tell the truth.

The steps come from the transaction itself, so a new one is covered without editing this file.
"""

from __future__ import annotations

import signal

import pytest

from aiops.actions.service.status import look
from aiops.apply.transaction import STEPS
from tests.faults.harness import LONGEST_OUTAGE, Fault, Faulty, Ran

EVERY_POINT = [(step, when) for step in STEPS for when in ("before", "after")]
COMMITTED = STEPS.index("commit")

at_every_point = pytest.mark.parametrize(("step", "when"), EVERY_POINT)
# For the gateway's processes the end of a step and the beginning of the next are the same moment.
before_each_step = pytest.mark.parametrize("step", STEPS)
# Without a master for as long as a start really takes: before anything is public, while it is, and when it is done.
FOR_REAL = ("prove", "confirm", "finish")
with_starts_of_both_kinds = pytest.mark.parametrize(
    "step", [pytest.param(step, marks=[pytest.mark.real_start] if step in FOR_REAL else []) for step in STEPS]
)


def is_live(step: str, when: str = "before") -> bool:
    """Whether a change that got this far is past the point of no return."""
    return STEPS.index(step) > COMMITTED or (step, when) == ("commit", "after")


@at_every_point
def test_killed_command_line(here: Faulty, step: str, when: str) -> None:
    before, new, name = here.current, here.next_number, here.new_name()
    with here.watched() as users:
        ran = here.run(*here.adding_one(name), fault=Fault("kill-cli", step, when))
        interrupted = here.journal_open
        noted = look(here.instance).notes
        following = here.ok("apply")
    assert ran.code == -signal.SIGKILL, ran
    assert users.failed == []
    assert users.longest_outage < LONGEST_OUTAGE
    assert users.generations <= {before, new}
    assert interrupted == ((step, when) not in ((STEPS[0], "before"), (STEPS[-1], "after")))
    if interrupted:
        assert any("`aiops add-provider` by " in note and "was interrupted at" in note for note in noted), noted
        _says_what_happened(following, is_live(step, when))
    here.require_consistent()
    assert (here.current == before) != is_live(step, when)
    assert (name.encode() in here.files()["providers.yaml"]) == is_live(step, when)
    _an_ordinary_change_works(here)


@pytest.mark.parametrize("verb", ["rollback", "disable"])
@pytest.mark.parametrize("step", STEPS[1::2])
def test_killed_command_line_of_other_verbs(here: Faulty, verb: str, step: str) -> None:
    name = here.new_name()
    here.ok(*here.adding_one(name), "--fallback", "model-of-base")
    before = here.current
    words = ["rollback", "--reason", "a test"] if verb == "rollback" else ["disable", name]
    with here.watched() as users:
        ran = here.run(*words, fault=Fault("kill-cli", step, "before"))
        following = here.ok("apply")
    assert ran.code == -signal.SIGKILL, ran
    assert users.failed == []
    _says_what_happened(following, is_live(step))
    here.require_consistent()
    assert (here.current == before) != is_live(step)


@with_starts_of_both_kinds
def test_killed_master(here: Faulty, step: str) -> None:
    before, new = here.current, here.next_number
    with here.watched() as users:
        ran = here.run(*here.adding_one(here.new_name()), fault=Fault("kill-master", step, "before"))
        noted = look(here.instance)
        following = here.ok("up")
    assert ran.fault == "kill-master"
    assert users.refused == []
    assert users.longest_outage < LONGEST_OUTAGE
    assert users.generations <= {before, new}
    assert noted.gateway_state == "degraded"
    assert any("the master is gone" in note for note in noted.notes), noted.notes
    if is_live(step):
        assert ran.code == 0, ran
    else:
        # The proof fails when its candidate is gone; every other step fails because nobody answers any more.
        assert ran.code == 7 if step == "prove" else ran.code in (4, 5), ran
        assert "error: the " in ran.err
        assert here.current == before
    assert "serves at" in following.out
    here.require_consistent()
    _an_ordinary_change_works(here)


@before_each_step
def test_killed_candidate(here: Faulty, step: str) -> None:
    before, name = here.current, here.new_name()
    with here.watched() as users:
        ran = here.run(*here.adding_one(name), fault=Fault("kill-candidate", step, "before"))
        here.ok("apply")
    assert users.refused == []
    assert users.longest_outage < LONGEST_OUTAGE
    if ran.fault == "nobody":
        assert ran.code == 0, ran
        assert users.failed == []
    else:
        public = STEPS.index(step) > STEPS.index("promote")
        assert ran.code in ((5,) if public else (5, 7)), ran
        assert "killed by signal 9" in ran.err, ran
        assert here.current == before
        assert name.encode() not in here.files()["providers.yaml"]
        if not public:
            assert users.failed == []
    here.require_consistent()
    _an_ordinary_change_works(here)


@before_each_step
def test_killed_worker(here: Faulty, step: str) -> None:
    """The serving worker dies: the master forks another, and the change goes on or is taken back whole."""
    before, new = here.current, here.next_number
    with here.watched() as users:
        ran = here.run(*here.adding_one(here.new_name()), fault=Fault("kill-worker", step, "before"))
        here.ok("apply")
    assert ran.fault == "kill-worker"
    assert users.refused == []
    assert users.longest_outage < LONGEST_OUTAGE
    assert ran.code in (0, 5, 7), ran
    assert here.current == (new if ran.code == 0 else before)
    here.require_consistent()
    _an_ordinary_change_works(here)


def _says_what_happened(following: Ran, live: bool) -> None:
    assert "was interrupted at `" in following.err, following
    assert ("it had gone live" if live else "it had not gone live: undone") in following.err, following


def _an_ordinary_change_works(here: Faulty) -> None:
    here.ok(*here.adding_one(here.new_name()))
    assert here.serving() == here.current


def test_killed_at_every_change_of_the_disk(here: Faulty) -> None:
    """SIGKILL before the first rename, link or removal, before the second, and so on to the end of the change."""
    killed_at: list[str] = []
    for number in range(1, 200):
        before, new, name = here.current, here.next_number, here.new_name()
        with here.watched() as users:
            with_key = [*here.adding_one(name), "--api-key-env", f"KEY_OF_{name}"]
            ran = here.run(*with_key, fault={"write": number}, **{f"KEY_OF_{name}": "not-a-secret"})
            here.ok("apply")
        assert users.failed == [], ran
        here.require_consistent()
        assert here.current in (before, new)
        assert (name.encode() in here.files()["providers.yaml"]) == (here.current == new), ran
        assert (f"KEY_OF_{name}" in here.kept_keys()) == (here.current == new), ran
        if ran.code == 0:
            reached = " ".join(killed_at)
            assert all(file in reached for file in ("/env", "/journal", "/providers.yaml", "/litellm-unified.yaml"))
            return
        killed_at.append(ran.fault)
        assert ran.code == -signal.SIGKILL, ran
        here.recover()
    raise AssertionError("a change that never ends")
