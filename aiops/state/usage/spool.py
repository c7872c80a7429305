"""A worker's own file of what it let in and what ended: written at once, read by the accountant.

    <state>/spool/4711.8812345.3.spool    of the process 4711 that started at 8812345, its third file
    <state>/spool/4711.8812345.3.done     how many bytes of it are in the ledger

In a PID namespace of its own a process is called ``4711.8812345@4026532001``. It holds a lock on the file that it
writes, by which others know that it lives.

A record is one line: the CRC-32 of what follows, a blank, JSON. It is written by one write(2), so a process that is
killed leaves it to the kernel whole. A disk that is full tears it: the reader skips a line whose sum is wrong, and the
next record begins with a line feed of its own. A line is never both torn and right.

A request is ``accepted``, then ``ending``: what it used, to be settled in the counters; then ``ended``: the same with
the counters that have it. Those of a dead process that were only accepted are lost, those that were ending are settled
by the accountant. One that is ``passed`` on goes on in another process, which accepts it by the same id. A new file
begins with what is under way, so that the one before is not needed when it was read.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from aiops.state.usage.record import Usage
from aiops.state.usage.writer import hold, this_process

DIRECTORY: Final = "spool"
SUFFIX: Final = ".spool"
LARGEST = 8 * 1024 * 1024  # bytes of a file
KEPT = 32 * 1024 * 1024  # bytes of records that wait for a disk with room
AGAIN_SECONDS = 0.25  # until that disk is tried again

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """A request that was let in; the words are those of ``Usage``."""

    id: str
    key: str
    model: str
    path: str
    started: int
    generation: int
    replica: str
    team: str | None = None
    user: str | None = None
    end_user: str | None = None
    stream: bool = False
    tags: tuple[str, ...] = ()
    idempotency_key: str | None = None

    def lost(self) -> Usage:
        """What the ledger says of it when the process that answered it was killed: that it was, and that nobody knows
        what it cost."""
        return Usage(
            **vars(self),
            provider="",
            served="",
            seconds=0.0,
            first=None,
            status=0,
            outcome="lost",
            prompt_tokens=0,
            completion_tokens=0,
            cached_tokens=0,
            cost=0,
            estimated=False,
            epoch="",
        )


Record = Accepted | Usage
Kind = Literal["accepted", "ending", "ended", "passed"]


# --- writing ----------------------------------------------------------------------------------------------------------


class Spool:
    """Of this process; to be made after the fork. ``say``: what is wrong with the disk, once for each change of that.

    Nothing here raises: what cannot be written is kept in memory, ``KEPT`` bytes of it at most, and written as soon as
    there is room, in the order in which it came.
    """

    def __init__(self, state: Path, say: Say, *, largest: int = LARGEST, kept: int = KEPT) -> None:
        self._directory = state / DIRECTORY
        self.owner = this_process()
        self._say = say
        self._largest, self._kept = largest, kept
        self._number = 0
        self._file = -1
        self._size = 0
        self._torn = False
        self._under_way: dict[str, bytes] = {}
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._dropped = 0
        self._again_at = 0.0

    @property
    def waiting(self) -> int:
        """How many records are in memory only."""
        return len(self._waiting)

    def accepted(self, request: Accepted) -> None:
        """To be called before anybody answers it."""
        line = encode(request)
        self._under_way[request.id] = line
        self._append(line)

    def ending(self, usage: Usage) -> None:
        """To be called just before it is settled in the counters: killed in between, nobody else would know what was
        settled. Its ``epoch`` is not looked at."""
        line = encode(usage, "ending")
        self._under_way[usage.id] = line
        self._append(line)

    def ended(self, usage: Usage) -> None:
        """To be called when it is settled, and in which counters is known."""
        self._under_way.pop(usage.id, None)
        self._append(encode(usage))

    def passed_on(self, request: Accepted) -> None:
        """To be called when another process is to answer it."""
        self._under_way.pop(request.id, None)
        self._append(encode(request, "passed"))

    def flush(self) -> None:
        """Try again what waits; to be called each second or so."""
        if self._waiting:
            self._write_waiting()

    def close(self) -> None:
        """The process leaves: what is written is written."""
        self.flush()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _append(self, line: bytes) -> None:
        if self._waiting:
            self._wait(line)
            if time.monotonic() >= self._again_at:
                self._write_waiting()
            return
        try:
            self._write(line)
        except OSError as error:
            self._say(f"usage cannot be written to {self._directory}: {error.strerror}; it is kept in memory meanwhile")
            self._wait(line)

    def _write_waiting(self) -> None:
        try:
            while self._waiting:
                self._write(self._waiting[0])
                self._waiting_bytes -= len(self._waiting.popleft())
        except OSError:
            self._again_at = time.monotonic() + AGAIN_SECONDS
            return
        lost = f"; {self._dropped} records were dropped" if self._dropped else ""
        self._dropped = 0
        self._say(f"usage is written to {self._directory} again{lost}")

    def _wait(self, line: bytes) -> None:
        self._waiting.append(line)
        self._waiting_bytes += len(line)
        while self._waiting_bytes > self._kept and len(self._waiting) > 1:
            self._waiting_bytes -= len(self._waiting.popleft())
            self._dropped += 1

    def _write(self, line: bytes) -> None:
        """All of it, or OSError; what was written of it then is a line of its own that nobody takes for a record."""
        if self._file < 0 or self._size >= self._largest:
            self._next_file(line)
        data = b"\n" + line if self._torn else line
        written = os.write(self._file, data)
        self._size += written
        if written == len(data):
            self._torn = False
            return
        self._torn = self._torn or written > 0
        # What is left fails with the reason, unless there is room again.
        rest = os.write(self._file, data[written:])
        self._size += rest
        if written + rest < len(data):
            raise OSError(0, "the disk takes part of a record only")
        self._torn = False

    def _next_file(self, line: bytes) -> None:
        """Made under another name, with what is under way, so that nobody sees it without."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._directory / f"{self.owner}.new"
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            hold(file)
            to_come = {line, *self._waiting}
            begin = b"".join(each for each in self._under_way.values() if each not in to_come)
            if begin and os.write(file, begin) < len(begin):
                raise OSError(0, "the disk takes part of a file only")
            draft.rename(self._directory / f"{self.owner}.{self._number}{SUFFIX}")
        except OSError:
            os.close(file)
            raise
        if self._file >= 0:
            os.close(self._file)
        self._file, self._size, self._torn = file, len(begin), False
        self._number += 1


def encode(record: Record, kind: Kind | None = None) -> bytes:
    """The line of it; an ``Accepted`` is one that was, and a ``Usage`` one that has ended, unless something else is
    said."""
    said = {kind or ("accepted" if isinstance(record, Accepted) else "ended"): vars(record)}
    try:
        text = orjson.dumps(said)
    except TypeError:  # half of a surrogate pair, or a number that does not fit into 64 bits
        text = json.dumps(said, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


_MADE: Mapping[str, type[Accepted] | type[Usage]] = {
    "accepted": Accepted,
    "ending": Usage,
    "ended": Usage,
    "passed": Accepted,
}


def decode(line: bytes) -> tuple[Kind, Record] | None:
    """A record, None for what is torn. Fields of a later aiops are left out."""
    checksum, _, text = line.partition(b" ")
    try:
        if int(checksum, 16) != zlib.crc32(text):
            return None
        ((kind, content),) = _loads(text).items()
        made: type[Accepted] | type[Usage] = _MADE[kind]
        if not content.keys() <= made.__dataclass_fields__.keys():
            content = {name: content[name] for name in made.__dataclass_fields__ if name in content}
        content["tags"] = tuple(content.get("tags", ()))
        return kind, made(**content)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _loads(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:  # half of a surrogate pair, as ``json`` writes it
        return json.loads(text)
