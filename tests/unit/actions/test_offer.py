"""Whoever sits there after an import is asked whether it is to be proved; scripts are told how, and never asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aiops.actions.importing import prove
from aiops.actions.importing.offer import offer
from aiops.host.instance import Instance, locate
from aiops.host.setup import defaults
from aiops.importing.importer import Found
from aiops.output import Output

FOUND = Found({}, {}, defaults(), config=("config.yaml", b"model_list: []\n"))


class Person(Output):
    def __init__(self, at_terminal: bool, answer: bool = False) -> None:
        super().__init__()
        self.at_terminal, self.answer_is, self.heard, self.asked = at_terminal, answer, list[str](), 0

    @property
    def interactive(self) -> bool:
        return self.at_terminal

    def say(self, text: str) -> None:
        self.heard.append(text)

    def ask(self, question: str) -> bool:
        self.asked += 1
        return self.answer_is


@pytest.fixture
def proofs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    made: list[Any] = []
    monkeypatch.setattr(prove, "proved", lambda found, out, made_already=None, **more: made.append((found, more)))
    return made


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return locate(tmp_path)


@pytest.mark.parametrize("answer", [True, False])
def test_at_a_terminal_it_is_asked_and_done_when_wanted(instance: Instance, proofs: list[Any], answer: bool) -> None:
    person = Person(at_terminal=True, answer=answer)
    offer(instance, Path("config.yaml"), FOUND, person, assume_yes=False)
    assert (person.asked, proofs) == (1, [(FOUND, {"made": True})] if answer else [])


@pytest.mark.parametrize(("at_terminal", "assume_yes"), [(False, False), (False, True), (True, True)])
def test_nobody_else_is_asked_and_the_command_is_named(
    instance: Instance, proofs: list[Any], at_terminal: bool, assume_yes: bool
) -> None:
    person = Person(at_terminal)
    offer(instance, Path("a dir/config.yaml"), FOUND, person, assume_yes=assume_yes)
    assert (person.asked, proofs) == (0, [])
    [line] = person.heard
    assert "import 'a dir/config.yaml' --prove --dry-run" in line


def test_of_what_cannot_be_proved_nothing_is_said(instance: Instance) -> None:
    person = Person(at_terminal=True)
    offer(instance, Path(), Found({}, {}, defaults()), person, assume_yes=False)
    assert (person.asked, person.heard) == (0, [])
