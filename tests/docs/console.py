"""Commands in ```console blocks, run as a reader would: in order, in one shell, with what they print compared.

A block looks like this; `# exit N` is the exit code to expect (0 without it), `…` stands for anything in a line,
and the lines under a command must appear in its output in that order (other lines may stand between them):

    $ aiops validate            # exit 3
    providers.yaml:…: …
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXIT = re.compile(r"#\s*exit (\d+)\s*$")


@dataclass(frozen=True)
class Command:
    """One command of a page. ``line`` is its line in the page; ``expected`` are the lines shown under it."""

    line: int
    text: str
    exit_code: int
    expected: tuple[str, ...]


def commands(page: str) -> list[Command]:
    """Every command in the page's console blocks, in order. Raise ValueError for output without a command."""
    found: list[Command] = []
    for block in FENCE.finditer(page):
        number = page.count("\n", 0, block.start()) + 1
        lines = block.group(1).splitlines()
        at = 0
        while at < len(lines):
            start = at
            if not lines[at].startswith("$ "):
                raise ValueError(f"line {number + at + 1}: a console block begins with a `$ ` command")
            text = lines[at][2:]
            while text.endswith("\\"):
                at += 1
                text += "\n" + lines[at].removeprefix("> ")
            at += 1
            expected = []
            while at < len(lines) and not lines[at].startswith("$ "):
                if lines[at].strip():
                    expected.append(lines[at].strip())
                at += 1
            code = EXIT.search(text.splitlines()[0])
            found.append(Command(number + start + 1, text, int(code.group(1)) if code else 0, tuple(expected)))
    return found


def missing(expected: tuple[str, ...], output: str) -> str | None:
    """The first expected line that does not appear in order in ``output``; None when all do."""
    lines = iter(output.splitlines())
    for wanted in expected:
        pattern = re.compile(r".*".join(re.escape(part.strip()) for part in wanted.split("…")))
        if wanted.strip("… ") and not any(pattern.search(line) for line in lines):
            return wanted
    return None


class Shell:
    """A reader's terminal: a variable that one command sets is there for the next (`set -a` exports them all)."""

    def __init__(self, directory: Path, env: Mapping[str, str]) -> None:
        self._directory = directory
        self._exports = directory / ".exports"
        self._env = dict(env)

    def run(self, command: Command, seconds: float = 90) -> str:
        """Run it and return what it printed; raise AssertionError when exit code or output are not as shown."""
        script = (
            f'set -a; [ ! -f "{self._exports}" ] || . "{self._exports}"\n'
            f'{command.text}\ncode=$?\nexport -p >"{self._exports}"\nexit $code\n'
        )
        done = subprocess.run(
            ["bash", "-c", script], cwd=self._directory, env=self._env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds, check=False,
        )  # fmt: skip
        shown = f"line {command.line}: $ {command.text}\n{done.stdout}"
        assert done.returncode == command.exit_code, f"exit {done.returncode}, not {command.exit_code}\n{shown}"
        lacking = missing(command.expected, done.stdout)
        assert lacking is None, f"the page shows `{lacking}`\n{shown}"
        return done.stdout
