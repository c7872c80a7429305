"""Rows as a table for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def columns(rows: Sequence[Row]) -> Iterator[str]:
    """A heading and the rows, aligned; numbers to the right. No column is cut: the last may be as long as it is."""
    heads = [*rows[0]]
    cells = [[_text(row[head]) for head in heads] for row in rows]
    width = [max(map(len, column)) for column in zip([head.upper() for head in heads], *cells, strict=True)]
    right = [all(isinstance(row[head], int) and not isinstance(row[head], bool) for row in rows) for head in heads]
    for line in ([head.upper().replace("_", " ") for head in heads], *cells):
        padded = [
            cell.rjust(wide) if to_the_right else cell.ljust(wide)
            for cell, wide, to_the_right in zip(line, width, right, strict=True)
        ]
        yield "  ".join(padded).rstrip()


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "*" if value else ""
    return ", ".join(value) if isinstance(value, tuple) else str(value)
