"""Dataclasses of a command line, made in a third of the time: their methods are closures and no compiled text.

Python 3.11 writes six methods of a frozen dataclass as text and compiles each. A verb has a hundred such classes, and
uses one method of most of them: that was a quarter of its CPU. Python 3.13 compiles all six at once by itself. What the
methods do is the same; that they are slower when called matters to a gateway, and not to a verb.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from typing import Any

Method = Callable[..., Any]
_library: Any = dataclasses
_compiled_comparison: Any = getattr(dataclasses, "_cmp_fn", None)


def install() -> None:
    """For all that is imported from now on. Nothing happens where Python is not the one whose parts these replace."""
    if sys.version_info[:2] == (3, 11):
        _library._repr_fn, _library._hash_fn, _library._cmp_fn = _repr, _hash, _comparison
        _library._frozen_get_del_attr = _frozen


def _repr(fields: Sequence[Any], _: object) -> Method:
    names = [field.name for field in fields]

    def __repr__(self: Any) -> str:
        shown = ", ".join([f"{name}={getattr(self, name)!r}" for name in names])
        return f"{self.__class__.__qualname__}({shown})"

    found: Method = _library._recursive_repr(__repr__)
    return found


def _hash(fields: Sequence[Any], _: object) -> Method:
    names = [field.name for field in fields]

    def __hash__(self: Any) -> int:
        return hash(tuple([getattr(self, name) for name in names]))

    return __hash__


def _comparison(method: str, sign: str, ours: str, theirs: str, globals: Any) -> Method:
    """``ours``: ``(self.one,self.two,)``. Order is asked for so rarely that it stays as it is."""
    if method != "__eq__":
        compiled: Method = _compiled_comparison(method, sign, ours, theirs, globals)
        return compiled
    names = [part.removeprefix("self.") for part in ours.strip("()").split(",") if part]

    def __eq__(self: Any, other: Any) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return tuple([getattr(self, name) for name in names]) == tuple([getattr(other, name) for name in names])

    return __eq__


def _frozen(cls: type[Any], fields: Sequence[Any], _: object) -> tuple[Method, Method]:
    names = frozenset(field.name for field in fields)

    def __setattr__(self: Any, name: str, value: object) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def __delattr__(self: Any, name: str) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    return __setattr__, __delattr__
