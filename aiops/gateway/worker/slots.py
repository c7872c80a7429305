"""Numbers that all workers of one generation see: shared memory without a lock.

The master makes it before it forks. Each worker has a row that only it writes; a reader combines the rows. A number
is eight aligned bytes, which the machine writes in one piece.
"""

from __future__ import annotations

import mmap

IN_FLIGHT, AVOIDED_UNTIL, REASON = range(3)
ASK_AT, SAID_AT, RUNNING, WAITING, CACHE, SENT = range(3, 9)  # see ``hearsay``
_COLUMNS = 9
HOMES = 1 << 12


class Slots:
    """``workers`` rows of ``providers`` entries, all 0."""

    def __init__(self, workers: int, providers: int) -> None:
        self._stride = providers * _COLUMNS
        self._numbers = memoryview(mmap.mmap(-1, max(1, workers * self._stride) * 8)).cast("d")
        self._workers = workers
        self.homes = memoryview(mmap.mmap(-1, HOMES * 8)).cast("Q")
        """For ``homes``."""

    def clear(self, worker: int) -> None:
        """Forget what a worker wrote: it has died, or its place is taken again."""
        for place in range(worker * self._stride, (worker + 1) * self._stride):
            self._numbers[place] = 0.0

    def put(self, worker: int, provider: int, column: int, number: float) -> None:
        """Only ever for one's own ``worker``."""
        self._numbers[worker * self._stride + provider * _COLUMNS + column] = number

    def get(self, worker: int, provider: int, column: int) -> float:
        return self._numbers[worker * self._stride + provider * _COLUMNS + column]

    def total(self, provider: int, column: int) -> float:
        """The sum over all workers."""
        start, stride, numbers = provider * _COLUMNS + column, self._stride, self._numbers
        if self._workers == 1:
            return numbers[start]
        return sum(numbers[start + worker * stride] for worker in range(self._workers))

    def latest(self, provider: int, column: int) -> tuple[float, int]:
        """The greatest number of all workers, and whose it is."""
        return max((self.get(worker, provider, column), worker) for worker in range(self._workers))
