"""Regular expressions for model names, in RE2's syntax: matching takes time in proportion to the name, whatever it is.

https://github.com/google/re2/wiki/Syntax
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import re2

MAX_NAME = 256
"""Longer names are matched by no pattern; LiteLLM is given none that is longer either."""

MAX_LENGTH = 500
MAX_PROGRAM = 5_000
MAX_PROGRAMS = 500_000
_MEMORY = 64 * 1024 * 1024  # what RE2 may keep of its automaton for all patterns together

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


class PatternSet:
    """Many patterns looked for at once: microseconds, also for a thousand.

    Those that begin with `^` are a set of their own: where nothing can begin later, RE2 has far less to keep in mind
    (20 µs instead of 2 ms for a name that is new to a thousand of them).
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        anchored = [is_anchored(pattern) for pattern in patterns]
        self._sets = [
            _Set(re2.Set.MatchSet, [(at, pattern) for at, pattern in enumerate(patterns) if anchored[at]]),
            _Set(re2.Set.SearchSet, [(at, pattern) for at, pattern in enumerate(patterns) if not anchored[at]]),
        ]

    def matches(self, name: str) -> list[int]:
        """Which patterns match, by their place in the list, in order."""
        if len(name) > MAX_NAME:
            return []
        content = name.encode(errors="replace")
        return sorted(place for one in self._sets for place in one.matches(content))


class _Set:
    def __init__(self, kind: Callable[[re2.Options], re2.Set], patterns: Sequence[tuple[int, str]]) -> None:
        self._places = [place for place, _ in patterns]
        self._set = kind(_options())
        for _, pattern in patterns:
            self._set.Add(pattern)
        if patterns:
            self._set.Compile()

    def matches(self, name: bytes) -> Iterator[int]:
        if self._places:
            yield from (self._places[index] for index in self._set.Match(name) or ())


def is_anchored(pattern: str) -> bool:
    """Whether it can only match from the beginning: `^…` without an alternative outside of brackets."""
    if not pattern.startswith("^"):
        return False
    depth, in_class, quoted = 0, False, False
    for character in pattern:
        if quoted:
            quoted = False
        elif character == "\\":
            quoted = True
        elif in_class:
            in_class = character != "]"
        elif character == "[":
            in_class = True
        elif character in "()":
            depth += 1 if character == "(" else -1
        elif character == "|" and depth == 0:
            return False
    return "\\Q" not in pattern and "(?" not in pattern and "[]" not in pattern and "[^]" not in pattern


def _options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = _MEMORY
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
