"""What the mutating verbs share: their options, and how a result is printed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from aiops.actions.change.make import make
from aiops.actions.change.prepare import Intent
from aiops.actions.change.result import Result
from aiops.context import Context

F = TypeVar("F", bound=Callable[..., Any])


def mutating(force: bool = False) -> Callable[[F], F]:
    """Add ``--dry-run`` and ``--reason`` (and ``--force``)."""

    def add(function: F) -> F:
        if force:
            function = click.option(
                "--force", is_flag=True, help="Also when models lose every route, or a generated file was edited."
            )(function)
        function = click.option("--reason", default="", metavar="TEXT", help="Why; kept in the history.")(function)
        return click.option("--dry-run", is_flag=True, help="Print the plan and stop.")(function)

    return add


def run(context: Context, intent: Intent) -> Result:
    """Make the change and print what came of it."""
    result = make(context.instance, intent, context.out)
    report(context, result)
    return result


def report(context: Context, result: Result, data: dict[str, Any] | None = None) -> None:
    """``data``: what ``--json`` prints, when the verb has more to tell than the change itself."""
    out = context.out
    if result.outcome == "applied":
        proofs = sum(check.status == "pass" for check in result.checks)
        skipped = [check for check in result.checks if check.status == "skip"]
        for check in skipped:
            out.say(f"not proved: {check.id}: {check.detail}")
        before = f" (before: {result.previous})" if result.previous is not None else ""
        out.result(f"generation {result.generation} is live{before}: {proofs} checks passed in {result.seconds:.2f} s")
    elif result.outcome == "unchanged":
        out.result(f"no change: generation {result.generation} serves this already; nothing was restarted")
    out.data(result.to_json() if data is None else data)
