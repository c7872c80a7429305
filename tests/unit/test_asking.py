"""A verb asks before it holds the lock, and does what was agreed to or nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from aiops.actions.change.make import make
from aiops.actions.change.prepare import Intent
from aiops.actions.change.result import ChangeFailed
from aiops.actions.instance import asking
from aiops.actions.instance.asking import Stopwatch
from aiops.actions.instance.held import agreed
from aiops.apply import lock
from aiops.errors import Precondition
from aiops.host.instance import Instance, locate
from aiops.output import Output
from aiops.spec.edit import edit
from aiops.spec.sources import Sources


class Person(Output):
    """Somebody at a terminal. ``answer`` is what they do while they are asked."""

    def __init__(self, answer: Callable[[], bool]) -> None:
        super().__init__()
        self.answer, self.heard, self.asked = answer, list[str](), 0

    @property
    def interactive(self) -> bool:
        return True

    def say(self, text: str) -> None:
        self.heard.append(text)

    def ask(self, question: str) -> bool:
        self.asked += 1
        return self.answer()


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    made = locate(tmp_path)
    made.make_directories()
    (made.config / "aiops.yaml").write_text("gateway:\n  port: 4000\n")
    (made.config / "providers.yaml").write_text("providers: {}\n")
    made.master_key.write_text("sk-0123456789abcdefghij\n")
    made.master_key.chmod(0o600)
    return made


def add(sources: Sources) -> edit.Edit:
    return edit.add_provider(sources, "one", type="vllm", base_url="http://127.0.0.1:1", models=["m"])


def test_nobody_waits_for_the_lock_while_a_person_thinks(instance: Instance) -> None:
    held: list[bool] = []

    def think() -> bool:
        held.append(lock.is_held(instance.state))
        return False

    person = Person(think)
    with pytest.raises(ChangeFailed) as refused:
        make(instance, Intent("add-provider", edit=add), person)
    assert held == [False]
    assert refused.value.error.message == "not agreed to; nothing was changed"
    assert any(line.startswith("+ provider one") for line in person.heard)


@pytest.mark.parametrize("before", ["providers: {}\n", "providers: {} # one\n"])
def test_what_changed_while_a_person_thought_stops_the_change(instance: Instance, before: str) -> None:
    file = instance.config / "providers.yaml"
    file.write_text(before)

    def think() -> bool:
        file.write_text("providers: {}  # edited meanwhile\n")
        return True

    with pytest.raises(ChangeFailed) as refused:
        make(instance, Intent("add-provider", edit=add), Person(think))
    assert refused.value.error.exit_code == 4
    assert "changed while you were asked" in refused.value.error.message
    assert file.read_text() == "providers: {}  # edited meanwhile\n"


def test_the_plan_is_told_once(instance: Instance) -> None:
    person = Person(lambda: True)
    with pytest.raises(ChangeFailed) as stopped:  # no gateway runs, which is found out after the question
        make(instance, Intent("add-provider", edit=add), person)
    assert "not running" in stopped.value.error.message
    assert (person.asked, sum(line.startswith("+ provider one") for line in person.heard)) == (1, 1)


@dataclass(frozen=True)
class Proposed:
    digest: str
    asks: bool = True

    @property
    def lines(self) -> tuple[str, ...]:
        return (f"to do: {self.digest}",)


def test_a_verb_looks_again_under_the_lock(instance: Instance) -> None:
    looked: list[bool] = []

    def propose() -> Proposed:
        looked.append(lock.is_held(instance.state))
        return Proposed("the same")

    person = Person(lambda: True)
    with agreed(instance, "provider stop", person, propose, assume_yes=False, watch=Stopwatch()) as now:
        assert lock.is_held(instance.state)
    assert (looked, now.digest, person.heard) == ([False, True], "the same", ["to do: the same"])


@pytest.mark.parametrize("asks", [True, False])
def test_and_does_nothing_when_that_is_something_else(instance: Instance, asks: bool) -> None:
    seen = iter((Proposed("stop a", asks), Proposed("stop b")))
    with (
        pytest.raises(Precondition, match="changed while you were asked"),
        agreed(
            instance,
            "provider stop",
            Person(lambda: True),
            lambda: next(seen),
            assume_yes=False,
            watch=Stopwatch(),
        ),
    ):
        pytest.fail("it was done")


def test_with_yes_there_is_one_look_and_no_question(instance: Instance) -> None:
    person = Person(lambda: pytest.fail("asked"))
    seen = iter((Proposed("once"),))
    with agreed(instance, "provider stop", person, lambda: next(seen), assume_yes=True, watch=Stopwatch()):
        pass
    assert person.heard == ["to do: once"]


def test_the_seconds_in_which_a_person_thinks_are_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((0.0, 10.0, 70.0, 71.0))
    monkeypatch.setattr(asking.time, "monotonic", lambda: next(clock))
    watch = Stopwatch()
    asking.ask(Person(lambda: True), watch)
    assert watch.seconds == 11.0
