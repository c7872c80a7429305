"""Which deployment has had which beginning of a prompt, as this worker knows it: in memory, the latest of them."""

from __future__ import annotations

from collections import OrderedDict

from aiops.spec.choosing.prefix import Prefix

MOST = 20_000  # parts of prompts, some 20 of each: 5 MB when they are all used (measured)


class Affinity:
    """What was used the longest ago is forgotten first."""

    def __init__(self, most: int = MOST) -> None:
        self._had: OrderedDict[bytes, tuple[str, ...]] = OrderedDict()  # by whom, those of a part
        self._most = most

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

    def forget(self, prefix: Prefix, deployment: str) -> None:
        """It did not answer: what it had, it may have no more."""
        for part in prefix.parts:
            left = tuple(each for each in self._had.get(part, ()) if each != deployment)
            if left:
                self._had[part] = left
            else:
                self._had.pop(part, None)

    def known(self, prefix: Prefix) -> dict[str, int]:
        """By deployment how many parts of the prompt it has had; those that had none are left out."""
        found: dict[str, int] = {}
        for depth in range(len(prefix.parts), 0, -1):
            for deployment in self._had.get(prefix.parts[depth - 1], ()):
                found.setdefault(deployment, depth)
        return found
