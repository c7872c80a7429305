"""What is declared of one row, and which columns of it that decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, Self, TypeAlias

from aiops.state.administration.requests import BudgetRequest, KeyRequest, TeamRequest, UserRequest
from aiops.state.store.rows import Budget, Key, Team, User

Kind = Literal["budget", "team", "user", "key"]
Row: TypeAlias = Budget | Team | User | Key
Request: TypeAlias = BudgetRequest | TeamRequest | UserRequest | KeyRequest
Values: TypeAlias = dict[str, Any]

ROWS: Final[Mapping[Kind, type[Row]]] = {"budget": Budget, "team": Team, "user": User, "key": Key}
_REQUESTS: Mapping[Kind, type[Request]] = {
    "budget": BudgetRequest, "team": TeamRequest, "user": UserRequest, "key": KeyRequest,
}  # fmt: skip
_NAMES: Mapping[Kind, str] = {"budget": "budget_id", "team": "team_id", "user": "user_id", "key": "key_alias"}


@dataclass(frozen=True)
class Entry:
    """``asked``: of the row, if it has to be made. A key's ``team_id`` is the name of the team in the file."""

    kind: Kind
    name: str
    asked: Request

    @classmethod
    def of(cls, kind: Kind, name: str, plain: Mapping[str, Any]) -> Self:
        """``plain``: by LiteLLM's names. Raises Invalid with every problem."""
        return cls(kind, name, _REQUESTS[kind].of({**plain, _NAMES[kind]: name}))

    @property
    def place(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True)
class Declaration:
    """Whoever is referred to stands before who refers to it. ``prune``: keys and teams beside these are blocked."""

    entries: tuple[Entry, ...] = ()
    prune: bool = False

    @property
    def places(self) -> set[str]:
        return {each.place for each in self.entries}


def columns(kind: Kind) -> list[str]:
    """Those that a declaration decides. A key and a team are found by their alias."""
    names = [each.name for each in fields(_REQUESTS[kind]) if each.metadata["column"]]
    kept = [name for name in names if name != "alias" or kind == "user"]
    return [*kept, "expires_at"] if kind == "key" else kept
