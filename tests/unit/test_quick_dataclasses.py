"""What is made from closures does the same as what Python compiles, and a command line has it."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, dataclass, field, fields
from typing import Any

import pytest

from aiops import quick_dataclasses

REPLACED = ("_repr_fn", "_hash_fn", "_cmp_fn", "_frozen_get_del_attr")
pytestmark = pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="it is for Python 3.11, whose parts it replaces"
)


@pytest.fixture
def quick() -> Iterator[None]:
    before = {name: getattr(dataclasses, name) for name in REPLACED}
    quick_dataclasses.install()
    yield
    for name, value in before.items():
        setattr(dataclasses, name, value)


def made(frozen: bool = True, order: bool = False) -> type[Any]:
    @dataclass(frozen=frozen, order=order)
    class Made:
        one: int
        other: Any = None
        unseen: int = field(default=0, repr=False, compare=False)

    return Made


def below(cls: type[Any]) -> type[Any]:
    @dataclass(frozen=True)
    class Below(cls):
        more: str = ""

    return Below


def behaviour(cls: type[Any]) -> dict[str, Any]:
    """All that the replaced methods do."""
    nan = float("nan")
    one, same, other = cls(1, ("a",)), cls(1, ("a",), 9), cls(2, nan)
    told = {
        "repr": [repr(each) for each in (one, same, other)],
        "equal": [one == same, one == other, one == (1, ("a",)), one != same, other == cls(2, nan), other == cls(2)],
        "not ours": cls.__eq__(one, 1),
        "hash": [hash(one) == hash(same), hash(one)],
        "names": {name: getattr(cls, name).__qualname__ for name in ("__repr__", "__eq__", "__hash__", "__setattr__")},
        "fields": [each.name for each in fields(cls)],
        "errors": [],
    }
    for attempt in (
        lambda: setattr(one, "one", 5),
        lambda: setattr(one, "another", 5),
        lambda: delattr(one, "one"),
        lambda: delattr(one, "another"),
        lambda: hash(cls(1, [])),
    ):
        with pytest.raises((FrozenInstanceError, TypeError)) as raised:
            attempt()
        told["errors"].append((raised.type, str(raised.value)))
    return told


def an_heir(cls: type[Any]) -> tuple[str, int]:
    """What a class that is no dataclass itself may do: have more, and change none of the fields."""

    class Heir(cls):
        pass

    heir = Heir(1)
    heir.another = 5
    with pytest.raises(FrozenInstanceError) as raised:
        heir.one = 5
    return str(raised.value), heir.another


def itself(cls: type[Any]) -> str:
    """A value that holds itself."""
    holder: list[Any] = []
    holder.append(cls(1, holder))
    return repr(holder[0])


def test_the_methods_do_what_the_compiled_ones_do(request: pytest.FixtureRequest) -> None:
    compiled = made()
    wanted, wanted_below, holding = behaviour(compiled), behaviour(below(compiled)), itself(compiled)
    heir = an_heir(compiled)
    request.getfixturevalue("quick")
    quick = made()
    assert quick.__repr__.__wrapped__.__code__.co_filename == quick_dataclasses.__file__
    assert behaviour(quick) == wanted
    assert behaviour(below(quick)) == wanted_below
    assert itself(quick) == holding
    assert an_heir(quick) == heir


def test_a_value_that_may_change_and_one_with_an_order(quick: None) -> None:
    loose = made(frozen=False)(1)
    loose.one = 2
    assert (loose.one, made(frozen=False).__hash__) == (2, None)
    ordered = made(order=True)
    assert ordered(1) < ordered(2)
    assert sorted([ordered(2), ordered(1)]) == [ordered(1), ordered(2)]


def test_one_without_fields(quick: None) -> None:
    @dataclass(frozen=True)
    class Nothing:
        pass

    assert (Nothing() == Nothing(), hash(Nothing()) == hash(())) == (True, True)
    assert repr(Nothing()).endswith("Nothing()")


STARTED = (
    "import os, sys\n"
    "os._exit = sys.exit = lambda code: None\n"
    "sys.argv = ['aiops', 'version']\n"
    "from aiops.__main__ import main\n"
    "main()\n"
)


def whose(before: str) -> str:
    """The file that the methods of a class come from which is imported after ``before``, in a process of its own."""
    code = f"{before}\nfrom aiops.spec.choosing.rules import Group\nprint(Group.__eq__.__code__.co_filename)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines()[-1]


def test_a_command_line_has_them() -> None:
    assert whose(STARTED) == quick_dataclasses.__file__


def test_a_gateway_has_the_compiled_ones() -> None:
    """Its values are compared and hashed for each request."""
    assert whose("import aiops.gateway.__main__, aiops.gateway.master.master") == "<string>"
