"""Which groups a change of strategy touches, and which names of strategies are taken."""

from __future__ import annotations

import pytest

from aiops.actions.route.strategy import changed_strategies, wanted
from aiops.errors import UsageError
from aiops.spec.choosing.rules import Group, Member, Strategy

MEMBERS = (Member("1", "one", "m"), Member("2", "two", "m"))


def group(name: str, strategy: Strategy, members: tuple[Member, ...] = MEMBERS) -> Group:
    return Group(name, "exact", strategy, members)


def test_groups_that_choose_in_another_way_are_found_with_both_ways() -> None:
    was = {"a": group("a", Strategy.DIRECT), "b": group("b", Strategy.DIRECT)}
    now = {"a": group("a", Strategy.COST_BASED), "b": group("b", Strategy.DIRECT)}
    assert changed_strategies(was, now) == {"a": (Strategy.DIRECT, Strategy.COST_BASED)}


def test_a_group_with_nothing_to_choose_or_nothing_to_compare_with_is_left_out() -> None:
    was = {"alone": group("alone", Strategy.DIRECT, MEMBERS[:1])}
    now = {"alone": group("alone", Strategy.COST_BASED, MEMBERS[:1]), "new": group("new", Strategy.COST_BASED)}
    assert changed_strategies(was, now) == {}


@pytest.mark.parametrize(("text", "meant"), [("least_busy", Strategy.LEAST_BUSY), ("direct", Strategy.DIRECT)])
def test_a_strategy_is_known_by_its_name_and_by_those_of_other_tools(text: str, meant: Strategy) -> None:
    assert wanted(text) is meant


@pytest.mark.parametrize(("text", "near"), [("least_busi", "least_busy"), ("leest_loaded", "least_loaded")])
def test_a_strategy_that_does_not_exist_is_refused_with_the_nearest(text: str, near: str) -> None:
    with pytest.raises(UsageError) as refused:
        wanted(text)
    assert refused.value.hint == f"did you mean `{near}`?"
