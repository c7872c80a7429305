"""Results on stdout, the story on stderr, and one JSON object when asked for it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, TextIO

# How a line begins -> its colour: what appears, goes or changes, and how something ended.
_COLOURS: Final = {
    "+ ": "green",
    "- ": "red",
    "~ ": "yellow",
    "! ": "yellow",
    "✓ ": "green",
    "✗ ": "red",
    "error: ": "red",
    "warning: ": "yellow",
    "hint: ": "cyan",
}

_UNIFIED: Final = {"+": "green", "-": "red"}  # diff(1)


def is_capable(stream: TextIO) -> bool:
    """Whether it is a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def has_colour(stream: TextIO) -> bool:
    """Whether it is a terminal, and its user wants colour: no-color.org."""
    return is_capable(stream) and not os.environ.get("NO_COLOR")


def coloured(text: str) -> str:
    """Each line in the colour of its sign."""
    return "\n".join(map(_coloured, text.split("\n")))


def _coloured(line: str) -> str:
    bare = line.lstrip()
    colour = next((colour for sign, colour in _COLOURS.items() if bare.startswith(sign)), _UNIFIED.get(line[:1]))
    return styled(line, colour) if colour else line


def styled(text: str, colour: str) -> str:
    """For a terminal that has colour."""
    import click

    return click.style(text, fg=colour)


class Output:
    """Where a verb speaks. With ``as_json`` stdout carries exactly one object and stderr stays quiet."""

    def __init__(self, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self._quiet = quiet or as_json

    def say(self, text: str) -> None:
        """Narration, for a person watching."""
        if not self._quiet:
            # A watcher who left (a dropped ssh connection) is no reason to stop half-way.
            with suppress(OSError):
                sys.stderr.write((coloured(text) if has_colour(sys.stderr) else text) + "\n")
                sys.stderr.flush()

    def result(self, text: str, *, signed: bool = False) -> None:
        """The result, for people. ``signed``: lines begin with what they are about, ``+``, ``-``, ``~``, ``✓``."""
        if not self.as_json:
            sys.stdout.write((coloured(text) if signed and has_colour(sys.stdout) else text) + "\n")
            sys.stdout.flush()  # `logs -f | grep` shows a line when it is said

    def piece(self, text: str) -> None:
        """A part of the result, for people, as soon as it is there."""
        if not self.as_json:
            sys.stdout.write(text)
            sys.stdout.flush()

    def answer(self, lines: Iterable[str], data: Any, *, signed: bool = False) -> None:
        """The whole result at once: lines for people, one object for programs."""
        for line in lines:
            self.result(line, signed=signed)
        self.data(data)

    def word(self, text: str) -> str:
        """A word of the result that says how things are, in its colour where there is one."""
        colour = {"ok": "green", "degraded": "yellow", "down": "red"}.get(text)
        return styled(text, colour) if colour and has_colour(sys.stdout) else text

    def screen(self, lines: Iterable[str]) -> None:
        """In place of what was shown before; only where ``redraws``."""
        shown = "".join(f"{line}\033[K\n" for line in lines)
        sys.stdout.write(f"\033[H{shown}\033[J")
        sys.stdout.flush()

    @property
    def coloured(self) -> bool:
        """Whether the result is looked at by somebody who wants colour."""
        return not self.as_json and has_colour(sys.stdout)

    @property
    def redraws(self) -> bool:
        """Whether the result is looked at on a terminal that can show it anew in the same place."""
        return not self.as_json and is_capable(sys.stdout)

    def record(self, value: Any) -> None:
        """One of many results, for programs: an object on a line of its own."""
        if self.as_json:
            import json

            sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
            sys.stdout.flush()

    def data(self, value: Any) -> None:
        """The result, for programs."""
        if self.as_json:
            import json

            sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")

    @property
    def interactive(self) -> bool:
        return not self._quiet and sys.stdin.isatty() and sys.stderr.isatty()

    def ask(self, question: str) -> bool:
        """A yes/no question on the terminal; no is the default."""
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        try:
            return sys.stdin.readline().strip().lower() in ("y", "yes")
        except KeyboardInterrupt:
            sys.stderr.write("\n")
            raise

    @contextmanager
    def progress(self, what: str) -> Iterator[Progress]:
        """A progress bar on a terminal, nothing elsewhere."""
        bar = Progress(what, enabled=not self._quiet and sys.stderr.isatty())
        try:
            yield bar
        finally:
            bar.close()


class Progress:
    """``update(done, total)``, in any unit, from any thread. The bar appears with the first update before the end."""

    def __init__(self, what: str, enabled: bool) -> None:
        self._one_at_a_time = threading.Lock()
        self._what = what
        self._enabled = enabled
        self._bar: Any = None
        self._task: Any = None

    def update(self, done: float, total: float, note: str = "") -> None:
        if self._enabled:
            with self._one_at_a_time:
                self._show(done, total, note)

    def _show(self, done: float, total: float, note: str) -> None:
        if self._bar is None and done >= total:
            return
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[note]}"),
                TimeElapsedColumn(),
            )
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task(self._what, total=total, note=note)
        self._bar.update(self._task, completed=min(done, total), total=total, note=note)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
