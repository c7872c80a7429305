"""Counts and sums of money on both sides, and everything that is different, for people and programs. PURE."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiops.state import money
from aiops.state.takeover.translate import Translated
from aiops.state.takeover.words import Note, Word
from aiops.state.takeover.writing import Count, Written

KINDS = ("key", "team", "member", "user", "budget", "organization", "customer", "tag", "project", "earlier hash")
_NAMED = 10  # of one note; `--json` has them all


@dataclass(frozen=True)
class Sum:
    """Nano-dollars of one kind: what ``there`` was counted is ``here``, or accounted for by reason in ``left``."""

    there: int
    here: int
    left: Mapping[str, int]

    @property
    def open(self) -> int:
        """What nobody can account for: 0."""
        return self.there - self.here - sum(self.left.values())


@dataclass(frozen=True)
class Account:
    translated: Translated
    written: Written

    @property
    def notes(self) -> tuple[Note, ...]:
        return (*self.translated.notes, *self.written.notes)

    def rows(self, kind: str) -> dict[str, int]:
        """What became of LiteLLM's rows, by how many."""
        count = self.written.counts.get(kind, Count())
        found = {
            "new": count.added,
            "changed": count.changed,
            "only spent more": count.spend,
            "as before": count.same,
            "kept as they are here": count.kept,
        }
        found.update({each.why: each.count for each in self.translated.skipped if each.kind == kind})
        return {words: number for words, number in found.items() if number}

    def sum(self, kind: str) -> Sum:
        taken = [each for each in self.translated.taken if each.kind == kind]
        left = {"of budgets that have begun anew": sum(each.spent.read - each.spent.counts for each in taken)}
        kept = (each.spent.counts for each in taken if (kind, each.theirs) in self.written.here)
        left["kept as they are here"] = sum(kept)
        for each in self.translated.skipped:
            if each.kind == kind:
                left[each.why] = left.get(each.why, 0) + each.spent
        there = sum(each.spent.read for each in taken)
        there += sum(each.spent for each in self.translated.skipped if each.kind == kind)
        return Sum(there, self.written.spent.get(kind, 0), {why: amount for why, amount in left.items() if amount})

    def lines(self) -> Iterator[str]:
        yield f"LiteLLM's database {self.translated.source}:"
        for kind in KINDS:
            rows = self.rows(kind)
            if rows:
                parts = " + ".join(f"{number:,} {words}" for words, number in rows.items())
                yield f"  {_many(kind) + ':':<15}{sum(rows.values()):,} = {parts}"
        for kind in KINDS:
            total = self.sum(kind)
            if total.there or total.here:
                parts = "".join(f" + {money.shown(amount)} {why}" for why, amount in total.left.items())
                head = f"money of {_many(kind)}:"
                yield f"  {head:<24}{money.shown(total.there)} = {money.shown(total.here)} here{parts}"
        revoked = self.written.counts["key"].revoked
        if revoked:
            yield f"  revoked: {revoked:,} key{'s' * (revoked != 1)} that LiteLLM deleted or ended since"
        for word, notes in self._by_word().items():
            yield f"{'!' if word.bounds else '~'} {word.word} ({len(notes):,}): {word.means}"
            yield from (f"    {note}" for note in notes[:_NAMED])
            if len(notes) > _NAMED:
                yield f"    … and {len(notes) - _NAMED:,} more; --json lists them all"

    def to_json(self) -> dict[str, Any]:
        sums = {kind: self.sum(kind) for kind in KINDS}
        return {
            "source": self.translated.source,
            "rows": {kind: self.rows(kind) for kind in KINDS if self.rows(kind)},
            "revoked": self.written.counts["key"].revoked,
            "hashes": self.written.hashes,
            "nano_dollars": {
                kind: {"there": each.there, "here": each.here, "left": dict(each.left)}
                for kind, each in sums.items()
                if each.there or each.here
            },
            "notes": [
                {
                    "word": each.word.word,
                    "means": each.word.means,
                    "bounds": each.word.bounds,
                    "kind": each.kind,
                    "name": each.name,
                    "detail": each.detail,
                }
                for each in self.notes
            ],
            "missing_columns": list(self.translated.missing),
        }

    def _by_word(self) -> dict[Word, list[Note]]:
        """What holds somebody back first."""
        found: dict[Word, list[Note]] = {}
        for note in sorted(self.notes, key=lambda note: (not note.word.bounds, note.word.word)):
            found.setdefault(note.word, []).append(note)
        return found


def _many(kind: str) -> str:
    return f"{kind}es" if kind.endswith("sh") else f"{kind}s"
