"""What is said of a change that is waited for until every worker of every gateway follows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiops.context import Context
from aiops.errors import VerificationFailed

if TYPE_CHECKING:
    from aiops.actions.keys.done import Done as KeyDone
    from aiops.actions.teams.done import Done as TeamDone


def answer(context: Context, done: KeyDone | TeamDone) -> None:
    """Raises VerificationFailed where one has not said in time that it follows."""
    if done.heeded is not None and not done.heeded.everywhere:
        for line in done.lines:
            context.out.result(line, signed=True)
        raise VerificationFailed(
            "the change is made, and not every gateway has said that it follows it",
            "`aiops status` on those hosts says what is wrong there",
            data=done.to_json(),
        )
    context.out.answer(done.lines, done.to_json(), signed=True)
