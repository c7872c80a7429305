"""Words: verbs in groups on one screen, and those of other tools answered with the verb that does it here."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter

import pytest

from aiops import cli
from aiops.commands._neighbours import NEIGHBOURS, neighbours
from tests.unit.commands.test_everywhere import VERBS, verb

# What people type who come from kubectl, docker compose, systemctl, terraform, git and apt.
MEANT = {
    "start": ["up"],
    "stop": ["down"],
    "cordon": ["disable"],
    "drain": ["disable"],
    "uncordon": ["enable"],
    "ls": ["list"],
    "ps": ["status", "list"],
    "get": ["list"],
    "describe": ["show", "route explain"],
    "delete": ["remove-provider", "remove-model"],
    "rm": ["remove-provider", "remove-model"],
    "add": ["add-provider", "add-model"],
    "undo": ["rollback"],
    "reload": ["apply"],
    "provider cordon": ["disable"],
    "provider list": ["list providers", "provider status"],
    "provider restart": ["provider start", "provider stop"],
}


def answer(words: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.run(words.split()) == 2
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("typed", MEANT)
def test_a_word_of_another_tool_is_answered_with_what_does_it_here(
    typed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = answer(typed, capsys)
    assert said.startswith(f"Error: there is no verb `{typed.split()[-1]}`; did you mean ")
    assert set(re.findall(r"`aiops ([^`]+)`", said)) == set(MEANT[typed])


@pytest.mark.parametrize("word", ["list", "edit", "help", "version", "uninstall"])
def test_words_that_everybody_tries_are_verbs(word: str) -> None:
    assert (word,) in VERBS


def test_taking_a_provider_out_never_leads_to_stopping_the_gateway() -> None:
    for word in ("cordon", "drain", "pause", "disable"):
        for group in NEIGHBOURS:
            assert "down" not in neighbours(group, word)


def test_every_word_leads_to_a_verb_and_is_none_itself() -> None:
    for group, table in NEIGHBOURS.items():
        for meant, words in table.items():
            first, *rest = meant.split()
            assert (first,) in VERBS
            # The second word is a verb of a group, or what `list` takes.
            assert not rest or (first, *rest) in VERBS or verb((first,)).params[0].type.choices.count(rest[0])  # type: ignore[attr-defined]
            repeated = [word for word, times in Counter(words.split()).items() if times > 1]
            assert not repeated
            for word in words.split():
                assert (*group.split(), word) not in VERBS, f"`{group} {word}` is a verb, and does not mean {meant}"


def test_a_misspelt_verb_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean `aiops status`?" in answer("stauts", capsys)
    assert "did you mean `aiops provider status`?" in answer("provider stauts", capsys)
    assert "`aiops provider --help` lists the verbs" in answer("provider xyzzy", capsys)


# --- help -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("argv", [["--help"], ["-h"], ["help"]], ids=" ".join)
def test_the_help_is_one_screen_of_80_columns_and_24_lines(argv: list[str]) -> None:
    """With a line left for the prompt that follows it."""
    done = subprocess.run(
        [sys.executable, "-m", "aiops", *argv],
        env={"COLUMNS": "80", "LINES": "24", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert len(lines) < 24
    assert max(map(len, lines)) <= 80
    assert set(re.findall(r"[a-z-]+", done.stdout)) >= set(cli.VERBS)


def test_every_verb_is_in_one_section() -> None:
    assert Counter(name for verbs in cli.SECTIONS.values() for name in verbs) == Counter([*cli.VERBS])


def test_help_all_says_what_each_verb_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["help", "--all"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for name, line in cli.VERBS.items():
        assert f"{name} {line}" in shown


@pytest.mark.parametrize("path", VERBS, ids=" ".join)
def test_help_of_a_verb_is_what_the_verb_says_of_itself(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run([*path, "--help"]) == 0
    itself = capsys.readouterr().out
    assert cli.run(["help", *path]) == 0
    assert capsys.readouterr().out == itself


def test_help_of_a_word_that_is_no_verb_is_answered_like_the_word_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean `aiops up`?" in answer("help start", capsys)
    assert "`aiops up` has no verbs of its own, so no `high`" in answer("help up high", capsys)
