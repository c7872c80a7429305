"""Which deployment has had which beginning of a prompt, as this worker knows it: in memory, the latest of them."""

from __future__ import annotations

from collections import Counter, OrderedDict

from aiops.spec.choosing.ask import Known
from aiops.spec.choosing.prefix import Prefix

HOMES = 1_000  # conversations
MOST = 20_000  # parts of prompts, some 20 of each: 5 MB when they are all used (measured)


class Affinity:
    """What was used the longest ago is forgotten first."""

    def __init__(self, most: int = MOST, homes: int = HOMES) -> None:
        self._had: OrderedDict[bytes, tuple[str, ...]] = OrderedDict()  # by whom, those of a part
        self._last: OrderedDict[bytes, str] = OrderedDict()  # by whom, the last prompt of a home
        self._homes: Counter[str] = Counter()
        self._most, self._most_homes = most, homes

    def learn(self, prefix: Prefix, deployment: str) -> None:
        """It is asked for such a prompt now."""
        had = self._had
        for part in prefix.parts:
            known = had.get(part)
            if known is None:
                had[part] = (deployment,)
            else:
                if deployment not in known:
                    had[part] = (*known, deployment)
                had.move_to_end(part)
        while len(had) > self._most:
            had.popitem(last=False)
        self._move(prefix.home, deployment)
        if len(self._last) > self._most_homes:
            self._move(next(iter(self._last)), None)

    def forget(self, prefix: Prefix, deployment: str) -> None:
        """It did not answer: what it had, it may have no more."""
        for part in prefix.parts:
            left = tuple(each for each in self._had.get(part, ()) if each != deployment)
            if left:
                self._had[part] = left
            else:
                self._had.pop(part, None)
        if self._last.get(prefix.home) == deployment:
            self._move(prefix.home, None)

    def _move(self, home: bytes, deployment: str | None) -> None:
        """From whoever had its last prompt to ``deployment``, or to nobody."""
        before = self._last.pop(home, None)
        if before is not None:
            self._homes[before] -= 1
        if deployment is not None:
            self._last[home] = deployment
            self._homes[deployment] += 1

    def known(self, prefix: Prefix) -> Known:
        """Who has had of such a prompt."""
        found: dict[str, int] = {}
        for depth in range(len(prefix.parts), 0, -1):
            for deployment in self._had.get(prefix.parts[depth - 1], ()):
                found.setdefault(deployment, depth)
        return Known(found, self._last.get(prefix.home), self._homes)
