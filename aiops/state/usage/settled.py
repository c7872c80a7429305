"""Which money counters have a request, as its row in the ledger says in ``Usage.epoch``. PURE.

    3f9c…e1 key:0:30d team:2:7d          settled in these counters, of the epoch 3f9c…e1
    ?3f9c…e1 key:0:30d team:2:7d         reserved there; nobody knows whether it is settled
    3f9c…e1                              in all that there were (rows before there were marks)
                                         in none

A budget that is given later has a mark that older rows, and those under way, do not have: they are counted on its
counter by the accountant.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

UNSURE = "?"
UNKNOWN = "-"  # the epoch of counters that did not even answer when it was reserved


def mark(kind: str, epoch: int, duration: str | None, model: str | None = None) -> str:
    """Of a budget's counter, whatever its window. ``epoch``: the account's. Without blanks."""
    said = f"{kind}:{epoch}:{duration or 'ever'}"
    return said if model is None else f"{said}:{quote(model, safe='')}"


def settled(epoch: str, marks: Iterable[str]) -> str:
    """Empty without marks. Each ends with a blank, so that it is found with one on both sides."""
    said = " ".join(marks)
    return f"{epoch} {said} " if said else ""


def unsure(row: str) -> str:
    """The same row when its counters do not answer, or have lost it."""
    return row if not row or row.startswith(UNSURE) else UNSURE + row


def epoch(row: str) -> str:
    """Of the counters that have it; empty when none do, or that is not known."""
    return "" if row.startswith(UNSURE) else row.partition(" ")[0]


def reserved(row: str) -> frozenset[str]:
    """The marks of the counters that it was reserved in under its own id."""
    return frozenset(row.split()[1:])


def has(row: str, counters: str, mark: str) -> bool:
    """Whether the counter of this mark, in counters of this epoch, has it."""
    return row == counters or (epoch(row) == counters and mark in reserved(row))
