"""Regular expressions for model names, in RE2's syntax: matching takes time in proportion to the name, whatever it is.

https://github.com/google/re2/wiki/Syntax
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import re2

MAX_NAME = 256
"""Longer names are matched by no pattern; LiteLLM is given none that is longer either."""

MAX_LENGTH = 500
MAX_PROGRAM = 5_000
MAX_PROGRAMS = 500_000

_BACK = re.compile(r"\\(\d)")
_HINTS = (
    ("invalid perl operator: (?=", "RE2 has no lookahead"),
    ("invalid perl operator: (?!", "RE2 has no lookahead; write what it may match, or a pattern before this one"),
    ("invalid perl operator: (?<", "RE2 has no lookbehind"),
    ("invalid escape sequence: \\", "RE2 has no backreferences, and no escapes but its own"),
    ("no argument for repetition operator: *", "for anything write `.*`"),
    ("missing )", "for a bracket itself write `\\(`"),
    ("invalid repetition size", "at most 1000"),
)


class PatternError(ValueError):
    """What is wrong with a pattern, and what to write instead."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


def check(pattern: str) -> int:
    """How many steps it compiles to. Raises PatternError when it does not, is too large, or matches no name."""
    if not pattern:
        raise PatternError("it is empty and would match every name", "for every name set `default_provider`")
    if len(pattern) > MAX_LENGTH:
        raise PatternError(f"it has {len(pattern)} characters, more than {MAX_LENGTH}", "write several patterns")
    try:
        compiled = re2.compile(pattern, _options())
    except re2.error as error:
        said = error.args[0]
        words = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        hint = next((hint for start, hint in _HINTS if words.startswith(start)), "")
        raise PatternError(f"it does not compile: {words}", hint) from None
    size = int(compiled.programsize)
    if size > MAX_PROGRAM:
        raise PatternError(f"it compiles to {size:,} steps, more than {MAX_PROGRAM:,}", "use fewer or smaller `{n}`")
    if _matches_nothing(compiled, size):
        raise PatternError("it matches no name at all")
    return size


class Renaming:
    """Makes of a name that ``pattern`` matches another one. Raises PatternError for one that cannot be made."""

    def __init__(self, pattern: str, new: str) -> None:
        options = re2.Options()
        options.log_errors = False
        try:
            self._compiled = re2.compile(pattern, options)
        except re2.error:
            self._compiled = None  # said of the pattern itself
        self._new = new
        if not new:
            raise PatternError("`rename` is empty", "write what the provider calls it, for example `\\1`")
        groups = self._compiled.groups if self._compiled is not None else 9
        wanted = [int(digits) for digits in _BACK.findall(new)]
        if any(number > groups for number in wanted):
            raise PatternError(
                f"`rename` uses `\\{max(wanted)}`, and the pattern has {groups} pairs of brackets",
                "put brackets around what is to be kept: `^lan/(.*)$` and `\\1`",
            )

    def __call__(self, name: str) -> str:
        """The new name; the name itself when the pattern does not match it."""
        found = self._compiled.search(name) if self._compiled is not None else None
        if found is None:
            return name
        return _BACK.sub(lambda digits: found.group(int(digits[1])) or "", self._new)


class PatternSet:
    """Many patterns looked for at once: microseconds, also for a thousand.

    RE2 looks for the literal text in all of them in one pass, and tries only those of which every literal is there.
    One automaton of whole patterns (``re2.Set``) takes 3 ms for a name that is new to a thousand such as
    ``[a-z]+7.*[0-9]+b``, because it has to keep in mind all that have begun.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._filters = list(_filters(patterns, 0))

    def matches(self, name: str) -> list[int]:
        """Which patterns match, by their place in the list, in order."""
        if len(name) > MAX_NAME:
            return []
        content = name.encode(errors="replace")
        return [
            at for first, one in self._filters for at in sorted(first + index for index in one.Match(content) or ())
        ]


def _filters(patterns: Sequence[str], first: int) -> Iterator[tuple[int, re2.Filter]]:
    """As few as hold all ``patterns``, each with the place of its first one: RE2 bounds the text in one of them."""
    if not patterns:
        return
    made = re2.Filter()
    for pattern in patterns:
        made.Add(pattern, _options())
    try:
        made.Compile()
    except re2.error:
        if len(patterns) == 1:
            raise
    else:
        yield first, made
        return
    middle = len(patterns) // 2
    yield from _filters(patterns[:middle], first)
    yield from _filters(patterns[middle:], first + middle)


def _options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    return options


def _matches_nothing(compiled: re2._Regexp, size: int) -> bool:
    if size == 1:  # RE2 found out by itself
        return True
    try:
        shortest, longest = compiled.possiblematchrange(8)
    except re2.error:
        return False
    # Only the empty text could match; no name is empty.
    return not longest and not shortest and compiled.search("x x") is None
