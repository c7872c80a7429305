"""What the mutating verbs share: their options, and how a result is printed."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from aiops.actions.change.terms import Terms
from aiops.context import Context

if TYPE_CHECKING:
    from aiops.actions.change.result import Result

Command = Callable[..., None]
LOST_OR_EDITED = "Also when models lose every route, or a generated file was edited."


def mutating(force: str = "") -> Callable[[Command], Command]:
    """Add ``--dry-run`` and ``--reason``, and with a help text ``--force``: the command gets them as its ``terms``."""

    def add(function: Command) -> Command:
        @wraps(function)
        def on_terms(*, dry_run: bool, reason: str, force: bool = False, **arguments: Any) -> None:
            assume_yes = click.get_current_context().obj.assume_yes
            function(terms=Terms(reason, dry_run, force, assume_yes), **arguments)

        command = click.option("--force", is_flag=True, help=force)(on_terms) if force else on_terms
        command = click.option("--reason", default="", metavar="TEXT", help="Why; kept in the history.")(command)
        return click.option("--dry-run", is_flag=True, help="Print the plan and stop.")(command)

    return add


def report(context: Context, result: Result, data: dict[str, Any] | None = None) -> None:
    """``data``: what ``--json`` prints, when the verb has more to tell than the change itself."""
    out = context.out
    if result.outcome == "applied" and result.generation is None:
        out.result(f"written down; nothing serves yet: `{context.instance.command} up` serves it")
    elif result.outcome == "applied":
        proofs = sum(check.status == "pass" for check in result.checks)
        for check in (check for check in result.checks if check.status == "skip"):
            out.say(f"not proved: {check.id}: {check.detail}")
        before = f" (before: {result.previous})" if result.previous is not None else ""
        out.result(f"generation {result.generation} is live{before}: {proofs} checks passed in {result.seconds:.2f} s")
    elif result.outcome == "unchanged":
        out.result(f"no change: generation {result.generation} serves this already; nothing was restarted")
    out.data(result.to_json() if data is None else data)
