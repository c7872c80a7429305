"""A request to the management API, and its parts as the endpoints take them. Unknown fields are refused by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection

from aiops.gateway.accountant.management.errors import Refused
from aiops.spec.suggest import nearest
from aiops.state.administration import readers
from aiops.state.administration.journal import Actor
from aiops.state.administration.request import Invalid, Problem

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Request:
    """``who``: the id of the key that asks, empty for the master key. ``source``: where from. ``changed_by``: the human
    behind it, as the header ``litellm-changed-by`` says."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    who: str = ""
    source: str = ""
    changed_by: str | None = None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What an endpoint is given. ``given``: body or query, by name; ``step``: what stands in the path instead of
    ``{key}``. ``now``: seconds since 1970, by the database's clock."""

    connection: Connection
    given: Mapping[str, Any]
    by: Actor
    now: float
    caller: str
    step: str = ""

    def one(self, name: str, read: Callable[[Any], T]) -> T | None:
        """One field; None when it is not there. Raises Invalid."""
        value = self.given.get(name)
        if value is None:
            return None
        try:
            return read(value)
        except ValueError as error:
            raise Invalid([Problem(name, str(error))]) from None

    def need(self, name: str, read: Callable[[Any], T]) -> T:
        """Raises Invalid also when it is not there."""
        found = self.one(name, read)
        if found is None:
            raise Invalid([Problem(name, "is missing")])
        return found

    def without(self, *names: str) -> dict[str, Any]:
        """The fields that are no part of what is asked for, but say of whom."""
        return {name: value for name, value in self.given.items() if name not in names}

    def only(self, *names: str, refused: Mapping[str, str] | None = None) -> None:
        """Raises Invalid with every field beside these."""
        problems = []
        for name, value in self.given.items():
            if name in names:
                continue
            if refused is not None and name in refused:
                if value not in (None, "", "false", False, [], {}):
                    problems.append(Problem(name, f"is not supported: {refused[name]}"))
                continue
            close = nearest(name, names)
            problems.append(Problem(name, "is unknown" + (f"; did you mean `{close}`?" if close else "")))
        if problems:
            raise Invalid(problems)

    def page(self, size: str = "size", most: int = 100, otherwise: int = 10) -> tuple[int, int]:
        """Number (from 1) and size."""
        number, many = self.one("page", whole), self.one(size, whole)
        if number is not None and number < 1:
            raise Invalid([Problem("page", "is less than 1")])
        if many is not None and not 1 <= many <= most:
            raise Invalid([Problem(size, f"is not between 1 and {most}")])
        return number or 1, many or otherwise


def whole(value: Any) -> int:
    """Also as text, as a query has it."""
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            raise ValueError(f"is no number, but {value[:40]}") from None
    return readers.count(value)


def yes(value: Any) -> bool:
    """Also as text, as a query has it."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "1", "yes", "false", "0", "no"):
        return value.lower() in ("true", "1", "yes")
    raise ValueError("is neither true nor false")


def texts(value: Any) -> tuple[str, ...]:
    """A list of names; keys may be longer than names are."""
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise ValueError("is no list of text")
    return tuple(dict.fromkeys(value))


def mapping(body: Any) -> dict[str, Any]:
    """Raises Refused for a body that is no JSON object."""
    if body is None:
        return {}
    if not isinstance(body, Mapping):
        raise Refused(400, "The body has to be a JSON object.")
    return {str(name): value for name, value in body.items()}
