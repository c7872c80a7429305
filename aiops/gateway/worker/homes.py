"""Who had the last prompt of each conversation: known to all workers of the generation, in memory that they share.

An entry is eight bytes, which the machine writes in one piece: a number for who it was, and of the digest of the
conversation's home what its place does not say. Of two that share a place the later one is remembered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

_NUMBERS = 12  # bits for who it was; 0: nobody
_MOST = (1 << _NUMBERS) - 1
RECOUNTED = 1.0  # seconds after which what other workers have added is counted


class Homes:
    """``entries``: the shared memory, of which there are a power of two up to 4,096. ``deployments``: who may have had
    one, the same in all workers."""

    def __init__(self, entries: memoryview, deployments: Iterable[str], clock: Callable[[], float]) -> None:
        self._entries, self._clock = entries, clock
        self._names = ("", *sorted(set(deployments))[:_MOST])
        self._number = {name: number for number, name in enumerate(self._names) if name}
        self._counts: Counter[str] = Counter()
        self._counted: float | None = None

    def last(self, home: bytes) -> str | None:
        """Who had the last prompt with that home; None: nobody, or it is forgotten."""
        place, left = self._split(home)
        entry = self._entries[place]
        return self._names[entry & _MOST] or None if entry & ~_MOST == left else None

    def put(self, home: bytes, deployment: str) -> None:
        """It has the last one now."""
        number = self._number.get(deployment)
        if number is not None:  # else it only stands by for those that may
            place, left = self._split(home)
            self._write(place, left | number)

    def forget(self, home: bytes, deployment: str) -> None:
        """If it was the last one."""
        if self.last(home) == deployment:
            self._write(self._split(home)[0], 0)

    @property
    def counts(self) -> Mapping[str, int]:
        """Of how many conversations each had the last prompt."""
        now = self._clock()
        if self._counted is None or now - self._counted >= RECOUNTED:
            self._counted = now
            numbers = Counter(entry & _MOST for entry in self._entries)
            self._counts = Counter({self._names[number]: times for number, times in numbers.items() if number})
        return self._counts

    def _write(self, place: int, entry: int) -> None:
        before, self._entries[place] = self._entries[place], entry
        if before & _MOST:
            self._counts[self._names[before & _MOST]] -= 1
        if entry & _MOST:
            self._counts[self._names[entry & _MOST]] += 1

    def _split(self, home: bytes) -> tuple[int, int]:
        """Its place, and the bits that tell it from others there."""
        digest = int.from_bytes(home, "big")
        return digest % len(self._entries), (digest >> _NUMBERS) << _NUMBERS
