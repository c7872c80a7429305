"""The line that is wrong, with a caret below what is wrong in it, and never with a secret."""

from __future__ import annotations

import re
from dataclasses import replace

from aiops.errors import Problem
from aiops.spec.load.screen import SECRET_KEYS, hide_secrets

LONGEST = 100  # characters of a line that are shown
_QUOTED = re.compile(r"`([^`]+)`")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\u00a1-\ud7ff\ue000-\ufffd]")
_USER = re.compile(r"//[^/@\s]*@")
# From the name of such a key to the end of the line, also when what is between the two is what is wrong.
_KEY = re.compile(rf"(?i)\b({'|'.join(sorted(SECRET_KEYS, key=len, reverse=True)).replace('_', '[-_]')})\b\W.*")
# Long, with letters and digits, and neither a path nor a name of several words.
_LONG = re.compile(r"(?<![\w./-])(?=\w*\d)(?=\w*[A-Za-z])[\w+=]{24,}(?![./-])")
_OPENS_A_BLOCK = re.compile(r"[:|>][-+0-9]*\s*$")


def with_excerpt(problem: Problem, text: str) -> Problem:
    """The problem with the line it is about, out of ``text``, its file."""
    lines = text.split("\n")
    if not 1 <= problem.line <= len(lines):
        return problem
    line = _UNPRINTABLE.sub("?", lines[problem.line - 1].replace("\t", " ").rstrip())
    before = lines[problem.line - 2] if problem.line > 1 else ""
    if not line.strip() or (_KEY.search(before) and _OPENS_A_BLOCK.search(before)):
        return problem
    shown = _hidden(line)
    start, length = _place(problem, shown)
    number = f"{problem.line} | "
    if start + length > LONGEST:
        cut = max(0, min(start - LONGEST // 2, len(shown) - LONGEST))
        shown, start = f"…{shown[cut:]}", start - cut + 1
    shown = shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"
    length = max(1, min(length, LONGEST - start))
    return replace(problem, excerpt=f"{number}{shown}\n{' ' * (len(number) + start)}{'^' * length}")


def _hidden(line: str) -> str:
    line = _KEY.sub(lambda match: f"{match[1]}: ***", line)
    return hide_secrets(_LONG.sub("***", _USER.sub("//***@", line)))


def _place(problem: Problem, line: str) -> tuple[int, int]:
    """Column, from 0, and length of what the message names first of the line; else of all that is written there."""
    if 0 < problem.column <= len(line):
        return problem.column - 1, 1
    for token in _QUOTED.findall(problem.message):
        for word in (token, re.sub(r"\[\d+\]$", "", token).rpartition(".")[2]):
            found = re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", line) if word else None
            if found is not None:
                return found.start(), len(word)
    bare = line.strip()
    return line.index(bare), len(bare)
