"""The files of the operator that a change replaces, all together: checked, replaced, put back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aiops.apply.journal import Entry, Journal, digest
from aiops.errors import Precondition
from aiops.host import files
from aiops.host.files import read


@dataclass(frozen=True)
class FileChange:
    """``before`` or ``after`` is None when the file does not exist then. ``private`` files are made 0600."""

    path: Path
    before: bytes | None
    after: bytes | None
    private: bool = False


def check_untouched(changes: list[FileChange]) -> None:
    """Raises Precondition when somebody edited one of the files since it was read."""
    for change in changes:
        if read(change.path) != change.before:
            raise Precondition(
                f"{change.path} was edited while this change was being made",
                "look at the edit, then run the same command again: it starts from what is there then",
            )


def replace(changes: list[FileChange]) -> None:
    """Put every new content in its place. Raises OSError."""
    for change in changes:
        put(change.path, change.after, change.private)


def put(path: Path, content: bytes | None, private: bool = False) -> None:
    if content is None:
        path.unlink(missing_ok=True)
    elif read(path) != content:
        files.write(path, content, 0o600 if private else None)


def put_back(path: Path, content: bytes | None, kept: Path) -> None:
    """Undo ``put``. When there is no room to write the old content, the journal's copy of it takes the place."""
    try:
        put(path, content)
    except OSError as error:
        if content is None or not kept.exists():
            raise
        try:
            files.link(kept, path)
        except OSError:
            raise error from None


def settle(entry: Entry, journal: Journal, wanted: Mapping[str, bytes | None] | None) -> list[str]:
    """Make the files what they have to be after an interruption; returns those that somebody edited meanwhile.

    ``wanted``: the content after the change, to finish it; None to undo it with what the journal kept.
    """
    edited = []
    for name in entry.after:
        path = Path(name)
        now = digest(read(path))
        if now not in (entry.before[name], entry.after[name]):
            edited.append(name)
            continue
        if wanted is None:
            put_back(path, journal.undo(name), journal.kept(name))
        else:
            put(path, wanted[name])
    return edited
