"""What somebody asks for, field by field, in LiteLLM's names: read once, with every problem at once."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Final, Self, TypeAlias, TypeVar

from aiops.errors import UnknownName, UsageError
from aiops.spec.suggest import nearest

T = TypeVar("T")


class Unset(enum.Enum):
    """Stands where nothing was said, which is not the same as null: null takes a limit away."""

    UNSET = enum.auto()


UNSET: Final = Unset.UNSET
Given: TypeAlias = T | Unset


@dataclass(frozen=True, order=True)
class Problem:
    """``field``: as LiteLLM calls it. ``what`` is said of it: ``is negative``."""

    field: str
    what: str


class Invalid(UsageError):
    """What was asked for cannot be. Nothing was changed."""

    def __init__(self, problems: Iterable[Problem], hint: str = "") -> None:
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__("\n".join(f"`{each.field}` {each.what}" for each in self.problems), hint)


class Unknown(UnknownName):
    """There is no such key, team, user or budget."""

    def __init__(self, kind: str, name: str, known: Iterable[str] = ()) -> None:
        self.kind = kind
        close = nearest(name, [*known])
        super().__init__(f"there is no {kind} `{name}`", f"did you mean `{close}`?" if close else "")


def read_by(reader: Callable[[Any], Any], key: str = "", column: bool = True) -> Any:
    """A field of a request. ``key``: LiteLLM's name of it where ours is another one. ``column``: it is written as it
    is into the column of its name."""
    return field(default=UNSET, metadata={"read": reader, "key": key, "column": column})


@dataclass(frozen=True, kw_only=True)
class Request:
    """``refused``: fields that LiteLLM has and aiops does not act on, with the reason. Asking for nothing by one of
    them (null, false, an empty list) is no problem."""

    refused: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Self:
        """Raises Invalid with every problem."""
        known = {each.metadata["key"] or each.name: each for each in fields(cls)}
        problems: list[Problem] = []
        values: dict[str, Any] = {}
        for name, value in cls.arranged(plain).items():
            if name in known:
                try:
                    values[known[name].name] = known[name].metadata["read"](value)
                except ValueError as error:
                    problems.append(Problem(name, str(error)))
            elif name not in cls.refused:
                close = nearest(name, [*known])
                problems.append(Problem(name, "is unknown" + (f"; did you mean `{close}`?" if close else "")))
            elif not _asks_for_nothing(value):
                problems.append(Problem(name, f"is not supported: {cls.refused[name]}"))
        if problems:
            raise Invalid(problems)
        return cls(**values)

    @classmethod
    def arranged(cls, plain: Mapping[str, Any]) -> Mapping[str, Any]:
        """For those whose callers may write a field in another place."""
        return plain

    def given(self) -> dict[str, Any]:
        """What was said, by the name of its column."""
        return {
            each.name: value
            for each in fields(self)
            if each.metadata["column"] and (value := getattr(self, each.name)) is not UNSET
        }


def said(value: Given[T], otherwise: T) -> T:
    return otherwise if isinstance(value, Unset) else value


def _asks_for_nothing(value: Any) -> bool:
    return value is None or value is False or value in ("", 0) or (isinstance(value, list | dict) and not value)
