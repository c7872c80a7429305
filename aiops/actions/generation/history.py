"""``aiops history``: generations, newest first."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from aiops.apply.store import Generation, GenerationStore
from aiops.host.instance import Instance


@dataclass(frozen=True)
class History:
    """``current`` is what was committed last; None before the first."""

    current: int | None
    newest: tuple[Generation, ...]

    def lines(self) -> list[str]:
        return [self._line(each) for each in self.newest] or ["no generation yet: `aiops up` makes the first"]

    def to_json(self) -> dict[str, Any]:
        return {
            "current": self.current,
            "generations": [
                {**asdict(each.manifest), "outcome": asdict(each.outcome) if each.outcome else None}
                for each in self.newest
            ],
        }

    def _line(self, generation: Generation) -> str:
        made, end = generation.manifest, generation.outcome
        mark = "*" if generation.number == self.current else " "
        verb = made.verb + (f" to {made.restores}" if made.restores is not None else "")
        why = f"  “{made.reason}”" if made.reason else ""
        outcome = end.outcome if end else "unfinished"
        return f"{mark} {generation.number:>4}  {made.created[:19]}Z  {outcome:<12} {verb:<18} {made.who}{why}"


def history(instance: Instance, most: int) -> History:
    """The ``most`` newest. Raises Precondition when there is no instance."""
    instance.require()
    generations = GenerationStore(instance.state)
    return History(generations.current(), tuple(reversed(generations.all()))[:most])
