"""The runner of the pages sees what it is there to see."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.docs.console import Command, Shell, commands, missing

PAGE = """
Text.

```console
$ echo one
one
$ false   # exit 1
$ printf '%s\\n' a \\
>   b
a
```

```yaml
$ not: a command
```
"""


def test_commands_come_with_their_line_their_exit_code_and_what_is_shown() -> None:
    assert commands(PAGE) == [
        Command(5, "echo one", 0, ("one",)),
        Command(7, "false   # exit 1", 1, ()),
        Command(8, "printf '%s\\n' a \\\n  b", 0, ("a",)),
    ]


@pytest.mark.parametrize(
    ("expected", "output", "lacking"),
    [
        (("a … c",), "x a b c", None),
        (("b", "a"), "a\nb", "a"),
        (("a.c",), "abc", "a.c"),
        (("…",), "", None),
        (("second",), "first\n", "second"),
    ],
)
def test_shown_lines_must_appear_in_order(expected: tuple[str, ...], output: str, lacking: str | None) -> None:
    assert missing(expected, output) == lacking


def test_a_wrong_exit_code_or_output_fails_and_shows_the_line(tmp_path: Path) -> None:
    shell = Shell(tmp_path, os.environ)
    with pytest.raises(AssertionError, match=r"exit 1, not 0\nline 7"):
        shell.run(Command(7, "false", 0, ()))
    with pytest.raises(AssertionError, match="the page shows `two`"):
        shell.run(Command(7, "echo one", 0, ("two",)))


def test_what_a_command_sets_is_there_for_the_next(tmp_path: Path) -> None:
    shell = Shell(tmp_path, os.environ)
    shell.run(Command(1, "export GREETING='good day'", 0, ()))
    shell.run(Command(2, "count=2", 0, ()))
    shell.run(Command(3, 'echo "$GREETING $count"', 0, ("good day 2",)))
