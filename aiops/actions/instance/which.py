"""Which key or team is meant on the command line, where a key itself must not stand: others see it there."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Connection

from aiops.errors import UsageError
from aiops.state import tokens
from aiops.state.administration import find, teams
from aiops.state.administration.request import Unknown
from aiops.state.store.rows import Key, Team

STDIN = "-"


def named(said: str) -> str:
    """As it was said, or read from stdin for ``-``. Raises UsageError for a key itself."""
    if said == STDIN:
        found = sys.stdin.readline().strip()
        if not found:
            raise UsageError("stdin is empty", '`echo "$KEY" | aiops keys show -`')
        return found
    if said.startswith(tokens.PREFIX) and not said.startswith(find.SHOWN):
        raise UsageError(
            f"a key has no place on a command line, where others can read it: {tokens.name(said)}",
            "name it by its alias, id or hash; or `-`, and the key on stdin",
        )
    return said


def key(connection: Connection, said: str) -> Key:
    """Raises Unknown, and UsageError when several are meant."""
    with _or_what_to_type("keys"):
        return find.key(connection, said)


def team(connection: Connection, said: str) -> Team:
    """Raises Unknown, and UsageError when several are meant."""
    with _or_what_to_type("teams"):
        return teams.get(connection, said)


@contextmanager
def _or_what_to_type(noun: str) -> Iterator[None]:
    try:
        yield
    except Unknown as error:
        error.hint = error.hint or f"`aiops {noun} list` shows which there are"
        raise


def with_team(connection: Connection, fields: Mapping[str, Any]) -> dict[str, Any]:
    """People name a team by its alias, too; one that is none is left, to be told with all else that is wrong."""
    said = fields.get("team_id")
    if not said:
        return dict(fields)
    with suppress(Unknown):
        said = teams.get(connection, said).id
    return {**fields, "team_id": said}
