"""One rooted tree of errors. Each class owns its exit code; each instance says what to type next.

The message says what is wrong and where; the hint says what to do about it. Only ``aiops.cli`` turns
an error into an exit code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


class AiopsError(Exception):
    """The root: something aiops can explain. Exit code 1 is reserved for bugs, so subclasses set their own.

    ``data``: what a verb found nevertheless, printed by ``--json`` together with the error. ``outcome``: whether
    nothing was begun, or something was and is undone.
    """

    exit_code = 1
    name = "bug"
    outcome = "refused"

    def __init__(self, message: str, hint: str = "", *, data: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.data = data

    @property
    def shown(self) -> str:
        """What a person is told: the message, and where it helps more of what it speaks of."""
        return self.message


class UsageError(AiopsError):
    """The command line makes no sense."""

    exit_code = 2
    name = "usage"


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong in the desired state. ``line`` is 1-based; 0 when the problem has no line.

    ``excerpt``: the line itself, and below it a caret, without secrets. ``column``: 1-based, of a syntax error.
    """

    file: str
    line: int
    message: str
    hint: str = ""
    excerpt: str = field(default="", compare=False)
    column: int = field(default=0, compare=False)

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class InvalidState(AiopsError):
    """The desired state is wrong. Carries every problem found, not the first."""

    exit_code = 3
    name = "invalid"

    def __init__(self, problems: Sequence[Problem], hint: str = "") -> None:
        self.problems = tuple(sorted(set(problems)))
        count = len(self.problems)
        self._head = f"{count} problem{'s' if count != 1 else ''} in the desired state:"
        super().__init__("\n".join((self._head, *(f"  {problem}" for problem in self.problems))), hint)

    @property
    def shown(self) -> str:
        lines = [self._head]
        for problem in self.problems:
            lines += [f"  {problem}", *(f"    {line}" for line in problem.excerpt.splitlines())]
        return "\n".join(lines)


class UnknownName(AiopsError):
    """A name that was asked for is one that nobody answers, by the desired state."""

    exit_code = 3
    name = "unknown_name"


class Precondition(AiopsError):
    """Something that must hold before the verb can act does not: lock held, not running, port taken."""

    exit_code = 4
    name = "precondition"


class RolledBack(AiopsError):
    """The change failed after it had begun, and was undone."""

    exit_code = 5
    name = outcome = "rolled_back"


class RollbackFailed(AiopsError):
    """The change failed and so did undoing it: a person has to look."""

    exit_code = 6
    name = "rollback_failed"
    outcome = "rolled_back"


class VerificationFailed(AiopsError):
    """The proof failed. Users saw nothing of it."""

    exit_code = 7
    name = "verification"


class Interrupted(AiopsError):
    """Somebody pressed Ctrl-C, or asked the command to end. The exit code is the one of shells for SIGINT."""

    exit_code = 130
    name = "interrupted"

    def __init__(self, message: str = "interrupted", hint: str = "", *, undone: bool = False) -> None:
        """``undone``: users may have noticed what was begun."""
        super().__init__(message, hint)
        if undone:
            self.outcome = "rolled_back"
