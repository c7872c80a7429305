"""Results on stdout, the story on stderr, and one JSON object when asked for it."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any


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
                sys.stderr.write(text + "\n")
                sys.stderr.flush()

    def result(self, text: str) -> None:
        """The result, for people."""
        if not self.as_json:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()  # `logs -f | grep` shows a line when it is said

    def piece(self, text: str) -> None:
        """A part of the result, for people, as soon as it is there."""
        if not self.as_json:
            sys.stdout.write(text)
            sys.stdout.flush()

    def answer(self, lines: Iterable[str], data: Any) -> None:
        """The whole result at once: lines for people, one object for programs."""
        for line in lines:
            self.result(line)
        self.data(data)

    def data(self, value: Any) -> None:
        """The result, for programs."""
        if self.as_json:
            sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")

    @property
    def interactive(self) -> bool:
        return not self._quiet and sys.stdin.isatty() and sys.stderr.isatty()

    def ask(self, question: str) -> bool:
        """A yes/no question on the terminal; no is the default."""
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

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
