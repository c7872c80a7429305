"""Spools as the accountant reads them (``spool`` has how they are written), and how far each is in the ledger."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aiops.state.boot import boot, is_now
from aiops.state.usage.spool import DIRECTORY, SUFFIX, Kind, Record, decode
from aiops.state.usage.writer import lives

_SAID = re.compile(rb'[0-9a-f]{8} \{"(accepted|ending|ended)":\{"id":"([^"\\]+)"')
_NAME = re.compile(r"(\d+\.\d+(?:@\d+)?)\.(\d+)\.spool")


@dataclass(frozen=True)
class File:
    """One spool file, and whose it is. ``owner``: the process, as the owners of reservations are called, too."""

    path: Path
    owner: str
    number: int

    @property
    def pid(self) -> int:
        """In the PID namespace of that process."""
        return int(self.owner.partition(".")[0])

    @property
    def done_file(self) -> Path:
        return self.path.with_suffix(".done")


@dataclass(frozen=True)
class Part:
    """What was read, in the order in which it was written; ``offset`` is where to go on. ``torn``: lines that are no
    records."""

    records: tuple[tuple[Kind, Record], ...]
    offset: int
    torn: int


def files(state: Path) -> list[File]:
    """All there are, those of a process in the order in which they were written."""
    found = []
    for path in (state / DIRECTORY).glob(f"*{SUFFIX}"):
        words = _NAME.fullmatch(path.name)
        if words is not None:
            found.append(File(path, words[1], int(words[2])))
    return sorted(found, key=lambda file: (file.owner, file.number))


def read(path: Path, offset: int, most: int = 1 << 20, *, last_words: bool = False) -> Part:
    """Whole lines from ``offset`` on, about ``most`` bytes of them. ``last_words``: of a request that ends here, only
    that. Raises OSError."""
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read(most)
        if b"\n" not in data:
            data += file.readline()
    end = data.rfind(b"\n") + 1
    lines = [line for line in data[:end].split(b"\n") if line]
    found = _last_words(lines) if last_words else [decode(line) for line in lines]
    records = tuple(each for each in found if each is not None)
    return Part(records, offset + end, len(found) - len(records))


def _last_words(lines: Sequence[bytes]) -> list[tuple[Kind, Record] | None]:
    """Two lines in three say what the third says again, and are not read."""
    said = [_SAID.match(line) for line in lines]
    found = [
        decode(line) if what is None or what[1] == b"ended" else None for line, what in zip(lines, said, strict=True)
    ]
    ended = {what[2] for what, record in zip(said, found, strict=True) if what is not None and record is not None}
    kept: list[tuple[Kind, Record] | None] = []
    for line, what, record in zip(lines, said, found, strict=True):
        if what is None or what[1] == b"ended":
            kept.append(record)
        elif what[2] not in ended:
            kept.append(decode(line))
    return kept


def done(file: File) -> int:
    """How much of it is in the ledger. What another boot noted counts as nothing: a power cut may have taken the
    ledger's last commits and spared the note."""
    try:
        noted, offset = file.done_file.read_text().split()
        return int(offset) if is_now(noted) else 0
    except (OSError, ValueError):
        return 0


def note_done(file: File, offset: int) -> None:
    """Raises OSError: then more than necessary is read again, which changes nothing."""
    draft = file.path.with_suffix(".done.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as noted:
        noted.write(f"{boot()} {offset}\n")
    draft.replace(file.done_file)


def remove(file: File) -> None:
    """All of it is in the ledger. Raises OSError."""
    file.path.unlink(missing_ok=True)
    file.done_file.unlink(missing_ok=True)


def is_alive(file: File) -> bool:
    """Whether whoever writes to it, the last one of its process, may go on doing so. Raises OSError.

    It opens the next one, and locks it, before it closes this one."""
    while not lives(file.path, file.owner):
        later = file.path.with_name(f"{file.owner}.{file.number + 1}{SUFFIX}")
        if not later.exists():
            return False
        file = replace(file, path=later, number=file.number + 1)
    return True
