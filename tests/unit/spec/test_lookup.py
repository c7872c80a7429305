"""A name is looked for as an exact name, a capability, a pattern, a size and at last the default."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.spec.choosing.lookup import Resolver
from aiops.spec.choosing.rules import Group, PatternRule, RoutingTable, SizeRule, Strategy


def group(name: str, kind: str = "pattern") -> Group:
    return Group(name, kind, Strategy.DIRECT, ())  # type: ignore[arg-type]


TABLE = RoutingTable(
    plain=("plain:7b",),
    names={"balanced:7b": group("balanced:7b", "exact"), "code": group("code", "capability")},
    patterns=(PatternRule("^code", group("first")), PatternRule("code", group("second"))),
    sizes=(
        SizeRule(group("small"), up_to=8, includes_up_to=False),
        SizeRule(group("medium"), over=8, up_to=13, includes_over=True),
        SizeRule(group("large"), over=13),
    ),
    default=group("default", "default"),
)


@pytest.mark.parametrize(
    ("name", "kind", "group", "index"),
    [
        ("plain:7b", "exact", None, None),
        ("balanced:7b", "exact", "balanced:7b", None),
        ("code", "capability", "code", None),
        ("codex:7b", "pattern", "first", 0),
        ("my-code", "pattern", "second", 1),
        ("x:7b", "size", "small", 0),
        ("x:8b", "size", "medium", 1),
        ("x-13B-chat", "size", "medium", 1),
        ("x:14b", "size", "large", 2),
        ("no-size", "default", "default", None),
    ],
)
def test_the_first_rule_that_knows_the_name_wins(name: str, kind: str, group: str | None, index: int | None) -> None:
    resolver = Resolver(TABLE)
    for _ in range(2):  # found, and remembered
        found = resolver.find(name)
        assert found is not None
        assert (found.kind, found.group and found.group.name, found.index) == (kind, group, index)


def test_without_a_default_a_name_that_no_rule_knows_is_not_found() -> None:
    resolver = Resolver(replace(TABLE, default=None))
    assert resolver.find("no-size") is None
    assert resolver.find("x" * 10_000) is None


def test_it_says_which_other_patterns_would_have_matched() -> None:
    resolver = Resolver(TABLE)
    found = resolver.find("code-x")
    assert found is not None and found.why == "it matches the pattern `^code`, the first of 2 that match"
    assert resolver.matching("code-x") == [0, 1]


def test_what_is_remembered_does_not_grow_without_end() -> None:
    resolver = Resolver(TABLE)
    for number in range(10_000):
        resolver.find(f"unknown{number}")
    assert len(resolver._known) <= 4096
