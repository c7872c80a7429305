"""`differences.yaml`: by what the two lanes differ, and why that is meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.lanes.seen import Difference

TABLE = Path(__file__).with_name("differences.yaml")
ANY = "*"


@dataclass(frozen=True)
class Listed:
    """One line of the table. ``what`` and ``shapes``: patterns as of file names; each has to fit to something. ``but``:
    shapes that are none of them. ``sometimes``: it need not occur each time."""

    what: tuple[str, ...]
    shapes: tuple[str, ...]
    but: tuple[str, ...]
    direct: str
    litellm: str
    why: str
    sometimes: bool

    def covers(self, difference: Difference) -> bool:
        return (
            any(_fits(each, difference.what) for each in self.what)
            and any(_fits(each, difference.shape) for each in self.shapes)
            and not any(_fits(each, difference.shape) for each in self.but)
            and self.direct in (ANY, difference.direct)
            and self.litellm in (ANY, difference.litellm)
        )

    def stale(self, found: Iterable[Difference]) -> Iterator[str]:
        """What of it does not occur any more."""
        if self.sometimes:
            return
        covered = [each for each in found if self.covers(each)]
        for what in self.what:
            if not any(_fits(what, each.what) for each in covered):
                yield f"`{what}` ({self.why}) differs nowhere any more"
        for shape in self.shapes:
            if not any(_fits(shape, each.shape) for each in covered):
                yield f"`{shape}` does not differ any more in {', '.join(self.what)} ({self.why})"


def _fits(pattern: str, text: str) -> bool:
    """`[]` is no set of characters here."""
    return fnmatchcase(text, pattern.replace("[", "[[]"))


def table(section: str) -> list[Listed]:
    """The lines for `requests` or `failures`, with those for both."""
    said = yaml.safe_load(TABLE.read_text())
    return [_listed(each) for each in (*said["everywhere"], *said[section])]


def _listed(said: Mapping[str, Any]) -> Listed:
    unknown = set(said) - {"what", "shapes", "but", "direct", "litellm", "why", "sometimes"}
    assert not unknown and said["why"], f"{TABLE.name}: {said}"
    return Listed(
        what=_several(said["what"]),
        shapes=_several(said.get("shapes", ANY)),
        but=_several(said.get("but", ())),
        direct=str(said.get("direct", ANY)),
        litellm=str(said.get("litellm", ANY)),
        why=said["why"],
        sometimes=said.get("sometimes", False),
    )


def _several(said: str | Iterable[str]) -> tuple[str, ...]:
    return (said,) if isinstance(said, str) else tuple(said)


def unlisted(found: Iterable[Difference], listed: Iterable[Listed]) -> list[Difference]:
    lines = list(listed)
    return [each for each in found if not any(line.covers(each) for line in lines)]
