"""Which deployment has had which beginning of a prompt, as this worker knows it: in memory, the latest of them. Where
each conversation was last all workers know."""

from __future__ import annotations

from collections import OrderedDict

from aiops.gateway.worker.homes import Homes
from aiops.spec.choosing.ask import Known
from aiops.spec.choosing.prefix import Prefix

MOST = 20_000  # parts of prompts, some 20 of each: 5 MB when they are all used (measured)


class Affinity:
    """What was used the longest ago is forgotten first."""

    def __init__(self, homes: Homes, most: int = MOST) -> None:
        self._had: OrderedDict[bytes, tuple[str, ...]] = OrderedDict()  # by whom, those of a part
        self._homes, self._most = homes, most

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
        self._homes.put(prefix.home, deployment)

    def forget(self, prefix: Prefix, deployment: str) -> None:
        """It did not answer: what it had, it may have no more."""
        for part in prefix.parts:
            left = tuple(each for each in self._had.get(part, ()) if each != deployment)
            if left:
                self._had[part] = left
            else:
                self._had.pop(part, None)
        self._homes.forget(prefix.home, deployment)

    def known(self, prefix: Prefix) -> Known:
        """Who has had of such a prompt."""
        found: dict[str, int] = {}
        for depth in range(len(prefix.parts), 0, -1):
            for deployment in self._had.get(prefix.parts[depth - 1], ()):
                found.setdefault(deployment, depth)
        return Known(found, self._homes.last(prefix.home), self._homes.counts)
