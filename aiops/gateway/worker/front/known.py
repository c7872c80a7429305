"""Whose key is it? What the accountant said of each, until it says that something has changed.

Filled by nobody but the look-up itself, so no request that is under way can put an old answer back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from aiops.state.shapes import Identity

NOBODY_SECONDS = 1.0  # for which a key stays unknown that nobody knew
MOST = 50_000
MOST_NOBODIES = 10_000
AT_ONCE = 64  # look-ups: who tries keys at random must not keep the others from theirs
MOST_ASKED = 1024
ATTEMPTS = 3
SAY_SECONDS = 60.0  # between two lines of the log on why nobody answers


class Busy(Exception):
    """More keys are looked up at once than anybody waits for."""


class Doubtful(Exception):
    """What is known of keys may not be true any more."""


class LookUp(Protocol):
    async def identity(self, hash: str) -> tuple[Identity | None, int]:
        """Whose key has this hash, None for nobody's, and the number of the last change that this contains.

        Raises what says that nobody answers.
        """
        ...


class Known:
    """Identities by hash. ``ask`` is set when there is somebody to ask; ``doubt`` when what was said before may not
    count any more: it gives the reason, empty for none. While there is one, only what is said now counts. ``say``: to
    the log, where reasons belong: whoever has no key is told none."""

    def __init__(
        self, say: Callable[[str], None] = lambda text: None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._say = say
        self._said_at = -SAY_SECONDS
        self.ask: LookUp | None = None
        self.doubt: Callable[[], str] | None = None
        self._clock = clock
        self._known: dict[str, Identity] = {}
        self._nobody: dict[str, float] = {}  # until when
        self._asking: dict[str, asyncio.Task[Identity | None]] = {}
        self._changed: dict[str, int] = {}  # of those that are asked for now
        self._all_changed = 0
        self._at_once = asyncio.Semaphore(AT_ONCE)

    def cached(self, hash: str) -> Identity | None:
        return self._known.get(hash)

    async def identity(self, hash: str) -> Identity | None:
        """None for nobody's. Raises what asking raises, and Doubtful."""
        if self.doubt is not None and (why := self.doubt()):
            try:
                return await self._said(hash)
            except Exception as error:
                raise Doubtful(why) from error
        found = self._known.get(hash)
        if found is not None or self.ask is None or self._nobody.get(hash, 0.0) > self._clock():
            return found
        return await self._said(hash)

    def note(self, error: Exception) -> None:
        """That ``identity`` raised this, once a minute at most."""
        if self._clock() - self._said_at < SAY_SECONDS:
            return
        self._said_at = self._clock()
        why = str(error) or type(error).__name__
        cause = f" ({error.__cause__})" if error.__cause__ is not None and str(error.__cause__) else ""
        self._say(f"nobody can say now whose a key is: {why}{cause}")

    def forget(self, hashes: Iterable[str] | None, seq: int) -> None:
        """What the change of this number made void; None: everything."""
        if hashes is None:
            self._all_changed = seq  # of a database that was put back it may be an earlier one
            self._known.clear()
            self._nobody.clear()
            return
        for hash in hashes:
            self._known.pop(hash, None)
            self._nobody.pop(hash, None)
            if hash in self._asking:
                self._changed[hash] = seq

    async def _said(self, hash: str) -> Identity | None:
        """Now, by whoever is asked."""
        if self.ask is None:
            raise Doubtful("there is nobody to ask")
        asking = self._asking.get(hash)
        if asking is None:
            if len(self._asking) >= MOST_ASKED:
                raise Busy("too many keys are looked up at once")
            asking = self._asking[hash] = asyncio.create_task(self._look_up(hash, self.ask))
            asking.add_done_callback(lambda done: self._asked(hash, done))
        return await asyncio.shield(asking)  # one who leaves takes nobody's answer along

    async def _look_up(self, hash: str, ask: LookUp) -> Identity | None:
        async with self._at_once:
            for _ in range(ATTEMPTS):
                found, seq = await ask.identity(hash)
                if seq >= max(self._all_changed, self._changed.get(hash, 0)):
                    self._keep(hash, found)
                    break
        return found

    def _keep(self, hash: str, found: Identity | None) -> None:
        if found is None:
            while len(self._nobody) >= MOST_NOBODIES:
                del self._nobody[next(iter(self._nobody))]
            self._nobody[hash] = self._clock() + NOBODY_SECONDS
            return
        while len(self._known) >= MOST:
            del self._known[next(iter(self._known))]
        self._known[hash] = found

    def _asked(self, hash: str, done: asyncio.Task[Identity | None]) -> None:
        self._asking.pop(hash, None)
        self._changed.pop(hash, None)
        if not done.cancelled():
            done.exception()  # seen, also when nobody waits any more
