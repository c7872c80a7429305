"""The journal of one change: how to undo it, written before anything is done.

    state/journal/entry.json    what is being changed, from which generation to which
    state/journal/undo/NAME     bytes of each file the change will replace
    state/journal/steps         a line for each step that was begun

An unfinished journal is settled before anything else happens: see ``recovery``.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from aiops.host import files


@dataclass(frozen=True)
class Entry:
    """``before`` and ``after``: SHA-256 of each file to be replaced, by path; None when there is no such file."""

    verb: str
    who: str
    since: str
    base: int | None
    target: int
    before: Mapping[str, str | None]
    after: Mapping[str, str | None]


class Journal:
    def __init__(self, state: Path) -> None:
        self._directory = state / "journal"

    @property
    def open(self) -> bool:
        return (self._directory / "entry.json").exists()

    def begin(self, entry: Entry, undo: Mapping[str, bytes]) -> None:
        """Write the journal, whole or not at all. ``undo``: path -> old bytes. Raises OSError."""
        contents = {"entry.json": json.dumps(asdict(entry), indent=2).encode(), "steps": b""}
        contents |= {f"undo/{_name(path)}": content for path, content in undo.items()}
        files.write_tree(self._directory, contents, mode=0o600)

    def step(self, name: str) -> None:
        """Note that this step begins. Raises OSError: a step that cannot be noted is not taken."""
        files.append_line(self._directory / "steps", name)

    def read(self) -> Entry:
        return Entry(**json.loads((self._directory / "entry.json").read_bytes()))

    def began(self, name: str) -> bool:
        """Whether a step was."""
        return name in (self._directory / "steps").read_text().splitlines()

    def last_step(self) -> str:
        lines = (self._directory / "steps").read_text().splitlines()
        return lines[-1] if lines else "nothing was done yet"

    def undo(self, path: str) -> bytes | None:
        """The old bytes of a file; None when it did not exist."""
        saved = self.kept(path)
        return saved.read_bytes() if saved.exists() else None

    def kept(self, path: str) -> Path:
        """Where the old bytes of a file are."""
        return self._directory / "undo" / _name(path)

    def close(self) -> None:
        files.remove_tree(self._directory)

    def sweep(self) -> None:
        """Remove a journal that was killed while it was written, or while it was removed: it holds old secrets."""
        for suffix in ("tmp", "gone"):
            shutil.rmtree(self._directory.with_name(f".{self._directory.name}.{suffix}"), ignore_errors=True)


def digest(content: bytes | None) -> str | None:
    return hashlib.sha256(content).hexdigest() if content is not None else None


def _name(path: str) -> str:
    return hashlib.sha256(path.encode()).hexdigest()[:16]
