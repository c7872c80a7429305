"""Colour where somebody looks at it and wants it, and nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from aiops.output import Output, coloured

PLAIN = "+ provider a\n  - model m\nerror: no\nnothing\n~ model n\n- a line of a file\ndegraded\n"

Become = Callable[[], None]


@pytest.fixture
def become_terminal(monkeypatch: pytest.MonkeyPatch) -> Become:
    """To be called by the test itself: ``capsys`` has other streams before it."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)

    def become() -> None:
        for stream in (sys.stdout, sys.stderr):
            monkeypatch.setattr(stream, "isatty", lambda: True)

    return become


def said(capsys: pytest.CaptureFixture[str]) -> str:
    out = Output()
    out.say("+ provider a\n  - model m\nerror: no\nnothing")
    out.result("~ model n", signed=True)
    out.result("- a line of a file")
    out.result(out.word("degraded"))
    told = capsys.readouterr()
    return told.err + told.out


def test_on_a_terminal_what_appears_goes_and_fails_has_its_colour(
    capsys: pytest.CaptureFixture[str], become_terminal: Become
) -> None:
    become_terminal()
    assert said(capsys).splitlines() == [
        "\033[32m+ provider a\033[0m",
        "\033[31m  - model m\033[0m",
        "\033[31merror: no\033[0m",
        "nothing",
        "\033[33m~ model n\033[0m",
        "- a line of a file",
        "\033[33mdegraded\033[0m",
    ]


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_who_wants_no_colour_gets_none(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    become_terminal: Become,
    name: str,
    value: str,
) -> None:
    become_terminal()
    monkeypatch.setenv(name, value)
    assert said(capsys) == PLAIN


@pytest.mark.usefixtures("become_terminal")
def test_a_pipe_gets_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys) == PLAIN


def test_a_program_gets_none(capsys: pytest.CaptureFixture[str], become_terminal: Become) -> None:
    become_terminal()
    out = Output(as_json=True)
    assert (out.coloured, out.redraws) == (False, False)
    out.say("+ provider a")
    out.data({"word": "ok"})
    told = capsys.readouterr()
    assert "\033" not in told.out + told.err


def test_the_lines_of_diff_have_their_colour() -> None:
    assert coloured("+new\n-old\n same") == "\033[32m+new\033[0m\n\033[31m-old\033[0m\n same"
