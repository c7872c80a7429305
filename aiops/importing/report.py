"""The account of an import: for every key that was found, what became of it and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from aiops.spec.yaml.yaml12 import Document, Path, dotted


class Fate(StrEnum):
    """What became of a key."""

    KEPT = "kept"
    TRANSLATED = "translated"
    DOCUMENTATION = "documentation"
    DROPPED = "dropped"
    DECISION = "needs a decision"


_FORGOTTEN = "aiops does not know this key"


@dataclass(frozen=True)
class Entry:
    """One key. ``line`` is 1-based. ``under``: the key that was judged, this one or one around it.

    ``to``: where it went, in words. Values are never repeated: they may be secrets.
    """

    file: str
    line: int
    key: str
    fate: Fate
    why: str = ""
    to: str = ""
    under: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        more = ": ".join(part for part in (self.fate.value, self.why) if part)
        what = f"`{self.key}` " if self.key else ""
        return f"{where}: {what}{more}" + (f" -> {self.to}" if self.to else "")


@dataclass(frozen=True)
class _Note:
    """``turn``: the how-manieth judgement it is. ``whole``: earlier ones below it count no more."""

    fate: Fate
    why: str
    to: str
    turn: int = 0
    whole: bool = False


class Ledger:
    """The keys of one file. What nobody judged is reported as unknown, so nothing can be forgotten."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._notes: dict[Path, _Note] = {}
        self._turn = 0

    @property
    def file(self) -> str:
        """Its name, as messages give it."""
        return self.document.file

    def note(self, path: Path, fate: Fate, why: str = "", to: str = "") -> None:
        """Judge ``path`` and everything below it that is not judged by itself. The last word counts."""
        self._turn += 1
        self._notes[path] = _Note(fate, why, to, self._turn)

    def kept(self, path: Path, why: str = "", to: str = "") -> None:
        """It stays as it is."""
        self.note(path, Fate.KEPT, why, to)

    def translated(self, path: Path, why: str, to: str = "") -> None:
        """It has the same effect under another name or in another place."""
        self.note(path, Fate.TRANSLATED, why, to)

    def documentation(self, path: Path, why: str = "", to: str = "") -> None:
        """It has no effect, and people can still read it."""
        self.note(path, Fate.DOCUMENTATION, why, to)

    def dropped(self, path: Path, why: str, to: str = "") -> None:
        """It goes, because it never had an effect or has none here."""
        self.note(path, Fate.DROPPED, why, to)

    def decide(self, path: Path, why: str, to: str = "") -> None:
        """Only the operator knows."""
        self.note(path, Fate.DECISION, why, to)

    def overrule(self, path: Path, fate: Fate, why: str, to: str = "") -> None:
        """Judge ``path`` and everything below it, whatever was said before."""
        self.note(path, fate, why, to)
        self._notes[path] = replace(self._notes[path], whole=True)

    def judged(self, path: Path) -> Fate | None:
        """What was said of exactly this path."""
        found = self._notes.get(path)
        return found.fate if found else None

    def entries(self) -> Iterator[Entry]:
        """One per key that holds a value; a list of plain values is one, and each item that was judged by itself."""
        items: dict[Path, list[Path]] = {}
        for place in self._notes:
            if place and isinstance(place[-1], int) and self.document.node(place) is not None:
                items.setdefault(place[:-1], []).append(place)
        for path in leaves(self.document.data):
            for place in (path, *items.get(path, ())):
                under, found = self._verdict(place)
                line, key = self.document.line(place), dotted(place)
                if place == path or under == place:
                    yield Entry(self.file, line, key, found.fate, found.why, found.to, dotted(under))

    def _verdict(self, path: Path) -> tuple[Path, _Note]:
        """What counts for a path, and where that was said: the innermost, unless it was overruled."""
        under, verdict = path, _Note(Fate.DECISION, _FORGOTTEN, "")
        for end in range(1, len(path) + 1):
            found = self._notes.get(path[:end])
            if found is not None and not (verdict.whole and verdict.turn > found.turn):
                under, verdict = path[:end], found
        return under, verdict


def leaves(data: Any, path: Path = ()) -> Iterator[Path]:
    """The paths of everything below which there is no further key."""
    if isinstance(data, Mapping) and data:
        for key, value in data.items():
            yield from leaves(value, (*path, key))
    elif isinstance(data, tuple) and any(isinstance(item, Mapping | tuple) and item for item in data):
        for index, item in enumerate(data):
            yield from leaves(item, (*path, index))
    elif path:
        yield path


@dataclass(frozen=True)
class Report:
    """Everything an import has to say. ``edits``: what was changed by hand in a generated file.

    ``remarks``: about whole files (backups that were seen, comments that could not be kept).
    """

    entries: tuple[Entry, ...] = ()
    edits: tuple[Entry, ...] = ()
    remarks: tuple[str, ...] = field(default=())

    @property
    def decisions(self) -> tuple[Entry, ...]:
        """What the operator has to decide, the edits of a generated file aside."""
        edits = {(edit.file, edit.key) for edit in self.edits}
        return tuple(
            entry
            for entry in collapsed(self.entries)
            if entry.fate is Fate.DECISION and (entry.file, entry.key) not in edits
        )

    def counts(self) -> dict[str, int]:
        """How many lines of the lists have each fate, in the order of ``Fate``. Keys that were judged together are one
        line."""
        return {fate.value: sum(entry.fate is fate for entry in collapsed(self.entries)) for fate in Fate}

    def to_json(self) -> dict[str, Any]:
        """Plain data, one entry per key."""
        return {
            "counts": self.counts(),
            "entries": [dict(vars(entry)) for entry in self.entries],
            "edits": [dict(vars(entry)) for entry in self.edits],
            "remarks": list(self.remarks),
        }

    def changed(self) -> list[str]:
        """What is not as it was, and what has to be decided last, where the eye is. What stayed is in ``text``."""
        shown = (entry for entry in collapsed(self.entries) if entry.fate in (Fate.TRANSLATED, Fate.DROPPED))
        return [
            *(f"note: {remark}" for remark in self.remarks),
            *(f"  {entry}" for entry in shown),
            *(f"  edited by hand: {edit}" for edit in self.edits),
            *(f"  {entry}" for entry in self.decisions),
        ]

    def summary(self) -> str:
        """In one line: how many keys, and what became of them."""
        counts = ", ".join(f"{count} {fate}" for fate, count in self.counts().items() if count)
        return f"{sum(self.counts().values())} keys: {counts}"

    def text(self) -> str:
        """For people: what has to be decided, what was edited by hand, then the rest in the order of the files."""
        lines = [f"{count:5} {fate}" for fate, count in self.counts().items()]
        lines += ["", *(f"note: {remark}" for remark in self.remarks)]
        rest = tuple(entry for entry in collapsed(self.entries) if entry.fate is not Fate.DECISION)
        sections = (("to decide", self.decisions), ("edited by hand", self.edits), ("every other key", rest))
        for title, entries in sections:
            if entries:
                lines += ["", f"{title}:", *(f"  {entry}" for entry in entries)]
        return "\n".join(lines) + "\n"


def collapsed(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """One entry for all keys that were judged together."""
    told: dict[tuple[str, str, Fate], Entry] = {}
    for entry in entries:
        together = replace(entry, key=entry.under if entry.key else "")
        told.setdefault((entry.file, entry.under, entry.fate), together)
    return tuple(told.values())
