"""From the workers' spools into the ledger: each request once, whoever is killed when.

What was read is written in one transaction, and then noted. Killed in between, it is read again, and the ledger
already has it. A process that is dead will end nothing any more: what it had under way is written as lost.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Protocol

from sqlalchemy.exc import DataError, IntegrityError

from aiops.gateway.accountant.database import Unusable
from aiops.gateway.accountant.say import say
from aiops.gateway.shared.journald import WARNING
from aiops.state.store.open import reason
from aiops.state.usage import aside, spooled
from aiops.state.usage.record import Usage
from aiops.state.usage.spool import Record
from aiops.state.usage.spooled import File

TICK = 0.25
# What a database says of a value that it cannot keep: whatever else is wrong is not the record's fault.
UNFIT = (OverflowError, ValueError, TypeError, DataError, IntegrityError)
READ_BACK_SECONDS = 3600.0
BACKOFF_FIRST, BACKOFF_MOST = 0.5, 5.0


class Ledger(Protocol):
    """Both raise Unusable: then it is to be done again."""

    async def enter(self, records: Sequence[Usage]) -> None:
        """Each of them once, whatever was entered before."""
        ...

    async def settle(self, owner: str, records: Sequence[Record]) -> list[Usage]:
        """What the dead process ``owner`` had under way, in the counters, as it is to be entered."""
        ...


@dataclass
class _Process:
    """What is known of one that writes. ``offsets``: where to go on reading in each of its files."""

    under_way: dict[str, Record] = field(default_factory=dict)
    offsets: dict[Path, int] = field(default_factory=dict)


class Ingest:
    """``lost`` is called with how many requests were, with a process that was killed."""

    def __init__(self, state: Path, ledger: Ledger, lost: Callable[[int], None] = lambda many: None) -> None:
        self._state = state
        self._ledger = ledger
        self._lost = lost
        self._all_at = time.monotonic()  # when the ledger was known to have all that there was
        self._read_back_at = 0.0  # monotonic
        self._processes: dict[str, _Process] = {}
        self._one_at_a_time = asyncio.Lock()
        self._away = False

    async def forever(self) -> None:
        """Until cancelled."""
        wait = BACKOFF_FIRST
        while True:
            if await self.once():
                wait = BACKOFF_FIRST
                await asyncio.sleep(TICK)
            else:
                await asyncio.sleep(wait)
                wait = min(2 * wait, BACKOFF_MOST)

    async def once(self, *, again: bool = False) -> bool:
        """All that is there now. False when the database, or the disk, is in the way of it: then later. ``again``: also
        what was set aside, which is tried now and then otherwise."""
        async with self._one_at_a_time:
            began = time.monotonic()
            try:
                if again or time.monotonic() >= self._read_back_at:
                    await self._read_back()
                for _, files in groupby(spooled.files(self._state), key=lambda file: file.owner):
                    await self._take(list(files))
            except Unusable:
                self._away = True  # the database has said so itself
                _sync(self._state)
                return False
            except OSError as error:
                if not self._away:
                    say(f"the spool cannot be read: {error}", WARNING)
                self._away = True
                return False
            except Exception as error:
                # Nobody knows yet what this is. The keys are looked up meanwhile, and it is tried again.
                if not self._away:
                    say(f"the ledger cannot be written: {type(error).__name__}: {reason(error)}", WARNING)
                self._away = True
                return False
            self._away, self._all_at = False, began
            return True

    async def _read_back(self) -> None:
        """What was set aside, each record once: killed in between, the ledger has it already."""
        there = aside.read(self._state)
        left = [line for line in there if line.usage is None or not await self._is_taken(line.usage)]
        self._read_back_at = time.monotonic() + READ_BACK_SECONDS
        taken = len(there) - len(left)
        if taken:
            aside.keep(self._state, left)
            say(f"{taken} records that were set aside are in the ledger now; {len(left)} are left")

    async def _is_taken(self, record: Usage) -> bool:
        try:
            await self._ledger.enter([record])
        except UNFIT:
            return False
        return True

    def behind(self) -> tuple[int, float]:
        """Bytes of usage on disk that are not in the ledger yet, and for how many seconds there have been some."""
        left = 0
        for file in spooled.files(self._state):
            offset = self._processes.get(file.owner, _Process()).offsets.get(file.path)
            with suppress(OSError):  # read to its end meanwhile, and removed
                left += max(0, file.path.stat().st_size - (spooled.done(file) if offset is None else offset))
        return left, time.monotonic() - self._all_at if left else 0.0

    async def _take(self, files: list[File]) -> None:
        owner = files[0].owner
        # Asked before its files are read: what is dead writes nothing more.
        dead = not spooled.is_alive(files[-1])
        process = self._processes.setdefault(owner, _Process())
        for file in files:
            await self._read(file, process)
            if file is not files[-1]:  # the next one has all that is under way
                _remove(file, process)
        if dead:
            await self._bury(files, process)
            del self._processes[owner]

    async def _read(self, file: File, process: _Process) -> None:
        """What has come since. A file seen for the first time is read from its beginning: for what is under way."""
        first = file.path not in process.offsets
        offset = process.offsets.get(file.path, 0)
        known = spooled.done(file) if first else offset
        # What comes meanwhile is for the next time: others have written something, too.
        end = file.path.stat().st_size
        while offset < end:
            part = spooled.read(file.path, offset, last_words=True)
            if part.offset == offset:
                break
            if part.torn:
                say(f"{part.torn} torn records in {file.path.name} are left out", WARNING)
            ended = [record for kind, record in part.records if kind == "ended" and isinstance(record, Usage)]
            if ended and part.offset > known:
                await self._enter(ended)
            for kind, record in part.records:
                if kind in ("ended", "passed"):
                    process.under_way.pop(record.id, None)
                else:
                    process.under_way[record.id] = record
            offset = process.offsets[file.path] = part.offset
            if offset > known:
                with suppress(OSError):  # it is read again
                    spooled.note_done(file, offset)

    async def _enter(self, records: Sequence[Usage]) -> None:
        """One that the ledger cannot take is set aside, and said: the others must not wait for it for ever."""
        try:
            await self._ledger.enter(records)
        except Unusable:
            raise
        except UNFIT as error:
            if len(records) > 1:
                for record in records:
                    await self._enter([record])
                return
            where = aside.put(self._state, records[0])
            say(f"a record is no use to the ledger ({reason(error)}), see {where}", WARNING)

    async def _bury(self, files: list[File], process: _Process) -> None:
        left = await self._ledger.settle(files[0].owner, list(process.under_way.values()))
        if left:
            await self._enter(left)
            lost = sum(usage.outcome == "lost" for usage in left)
            say(f"process {files[0].owner} was killed: {lost} requests are accounted as lost", WARNING)
            self._lost(lost)
        for file in files:
            _remove(file, process)
        with suppress(OSError):
            (files[0].path.parent / f"{files[0].owner}.new").unlink(missing_ok=True)


def _remove(file: File, process: _Process) -> None:
    with suppress(OSError):  # a read-only disk: it is read again, which changes nothing
        spooled.remove(file)
        process.offsets.pop(file.path, None)


def _sync(state: Path) -> None:
    """What is nowhere but here has to survive a power cut."""
    for file in spooled.files(state):
        with suppress(OSError):
            descriptor = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
