"""Acts on keys and teams, done straight in the database: no generation is made, and workers follow within a second.

Each is tried first and undone, so that a plan is what would really happen; then asked for, and done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Connection, Engine

from aiops.actions.change.terms import Terms
from aiops.actions.instance.asking import Stopwatch, ask, asks
from aiops.errors import UsageError
from aiops.host import clock
from aiops.output import Output
from aiops.state.administration.journal import Actor
from aiops.state.administration.request import Invalid
from aiops.state.store.open import conflicted, writing
from aiops.state.store.writing import Stale

T = TypeVar("T")
Act = Callable[[Connection, Actor], T]

TRIES = 5  # while others change the same row
SOURCE = "command line"

# Fields of LiteLLM that are an option of another name.
_OPTIONS = {
    "key_alias": "--alias",
    "team_alias": "--alias",
    "team_id": "--team",
    "user_id": "--user",
    "budget_limits": "--budget",
    "members_with_roles": "--member",
    "max_budget_in_team": "--max-budget",
    "allowed_models": "--models",
    "team_member_budget": "--member-budget",
    "team_member_budget_duration": "--member-budget-duration",
    "team_member_rpm_limit": "--member-rpm-limit",
    "team_member_tpm_limit": "--member-tpm-limit",
}


class _Undone(Exception):
    """It was only tried."""


def administer(engine: Engine, act: Act[T], tell: Callable[[T], list[str]], terms: Terms, out: Output) -> T:
    """What was done, or with ``dry_run`` what would be. Raises UsageError in the words of the command line with every
    problem, and Precondition when the answer is no."""
    by = Actor(clock.who(), SOURCE, terms.reason)
    asking = asks(out, terms.assume_yes)
    if terms.dry_run or asking:
        tried = _do(engine, act, by, keep=False)
        for line in tell(tried):
            out.say(line)
        if terms.dry_run:
            return tried
        ask(out, Stopwatch())
    done = _do(engine, act, by, keep=True)
    if not asking:
        for line in tell(done):
            out.say(line)
    return done


@contextmanager
def in_words_of_options(options: Mapping[str, str] = _OPTIONS) -> Iterator[None]:
    """What is wrong with a field, said of the option that it came from."""
    try:
        yield
    except Invalid as error:
        lines = (f"{options.get(each.field, _option(each.field))} {each.what}" for each in error.problems)
        raise UsageError("\n".join(lines).replace("`max_budget`", "--max-budget"), error.hint) from None


def _option(field: str) -> str:
    return f"--{field.replace('_', '-')}"


def _do(engine: Engine, act: Act[T], by: Actor, *, keep: bool) -> T:
    result: list[T] = []
    for attempt in range(1, TRIES + 1):
        try:
            with in_words_of_options(), writing(engine) as connection:
                result.append(act(connection, by))
                if not keep:
                    raise _Undone
        except _Undone:
            break
        except Exception as error:
            if attempt == TRIES or not (isinstance(error, Stale) or conflicted(error)):
                raise
        else:
            break
    return result[-1]
