"""What somebody asks for is read whole: every problem at once, each by the name of its field."""

from __future__ import annotations

from typing import Any

import pytest

from aiops.state import tokens
from aiops.state.administration.request import UNSET, Invalid, Request
from aiops.state.administration.requests import (
    BudgetRequest,
    KeyRequest,
    Member,
    MemberRequest,
    TeamRequest,
    UserRequest,
)
from aiops.state.store.rows import BudgetLimit

NANO = 10**9


def problems(request: type[Request], **plain: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as error:
        request.of(plain)
    return {each.field: each.what for each in error.value.problems}


def test_what_was_not_said_is_not_what_was_taken_away() -> None:
    asked = KeyRequest.of({"rpm_limit": None, "max_budget": 1.5})
    assert asked.rpm_limit is None and asked.tpm_limit is UNSET
    assert asked.given() == {"rpm_limit": None, "max_budget": NANO * 3 // 2}


def test_all_problems_come_at_once() -> None:
    found = problems(
        KeyRequest,
        max_budget=-1,
        budget_duration="30x",
        rpm_limit=1.5,
        tpm_limit=True,
        rpm_limt=3,
        tpd_limit=1000,
        models="gpt-4o",
        duration="-3d",
        key="sk-short",
    )
    assert found["max_budget"] == "is negative: -1"
    assert "`30x` is no duration" in found["budget_duration"]
    assert found["rpm_limit"] == "is no whole number, but 1.5"
    assert found["tpm_limit"] == "is no whole number, but true"
    assert found["rpm_limt"] == "is unknown; did you mean `rpm_limit`?"
    assert found["tpd_limit"].startswith("is not supported: ")
    assert found["models"] == "is no list"
    assert found["duration"] == "is in the past: -3d"
    assert "8 characters" in found["key"]
    assert len(found) == 9


@pytest.mark.parametrize(
    "value", [-0.01, "12,5", "nan", float("inf"), 1e300, 10_000_000, True, [1]], ids=lambda value: str(value)[:10]
)
def test_an_absurd_budget_is_refused(value: Any) -> None:
    assert [*problems(KeyRequest, max_budget=value)] == ["max_budget"]
    assert [*problems(BudgetRequest, max_budget=value)] == ["max_budget"]
    assert [*problems(MemberRequest, max_budget_in_team=value)] == ["max_budget_in_team"]


def test_money_is_exact_whatever_it_was_written_as() -> None:
    for value in (0.1, "0.1", 1e-1):
        assert KeyRequest.of({"max_budget": value}).max_budget == NANO // 10
    assert KeyRequest.of({"max_budget": ""}).max_budget is None  # as LiteLLM's clients write none


@pytest.mark.parametrize("field", sorted(KeyRequest.refused))
def test_a_field_of_litellm_that_nothing_acts_on_is_refused_unless_it_asks_for_nothing(field: str) -> None:
    assert problems(KeyRequest, **{field: "something"})[field].startswith("is not supported: ")
    for nothing in (None, False, "", [], {}, 0):
        assert KeyRequest.of({field: nothing}).given() == {}


def test_several_budgets_at_once_and_budgets_of_models() -> None:
    asked = KeyRequest.of(
        {
            "budget_limits": [{"budget_duration": "1d", "max_budget": 1}, {"budget_duration": "1mo", "max_budget": 9}],
            "model_max_budget": {
                "a": 5,
                "b": {"budget_limit": "2.5", "time_period": "1d"},
                "c": [{"budget_duration": "1h", "max_budget": 1}],
            },
        }
    )
    assert asked.budget_limits == (BudgetLimit(NANO, "1d"), BudgetLimit(9 * NANO, "1mo"))
    assert asked.model_max_budget == {
        "a": (BudgetLimit(5 * NANO),),
        "b": (BudgetLimit(NANO * 5 // 2, "1d"),),
        "c": (BudgetLimit(NANO, "1h"),),
    }


@pytest.mark.parametrize(
    ("windows", "what"),
    [
        ([{"max_budget": 1}], "has a budget without `budget_duration`"),
        ([{"budget_duration": "1d"}], "has no amount"),
        ([{"budget_duration": "1d", "max_budget": 1}] * 2, "has two budgets of 1d"),
        ([{"budget_duration": "1d", "max_budgt": 1}], "has `max_budgt`, which is not known"),
        ({"1d": 1}, "is no list of {budget_duration, max_budget}"),
    ],
)
def test_a_window_that_makes_no_sense_is_told(windows: Any, what: str) -> None:
    assert problems(KeyRequest, budget_limits=windows)["budget_limits"].startswith(what)


def test_limits_that_litellm_keeps_in_metadata_are_limits_here_too() -> None:
    asked = KeyRequest.of({"metadata": {"model_rpm_limit": {"gpt-4o": 5}, "tags": ["a"], "mine": 1}})
    assert (asked.model_rpm_limit, asked.tags, asked.metadata) == ({"gpt-4o": 5}, ("a",), {"mine": 1})
    assert problems(KeyRequest, metadata={"guardrails": ["pii"]})["guardrails"].startswith("is not supported")


def test_a_key_is_never_repeated_in_what_is_said_of_it() -> None:
    with pytest.raises(Invalid) as error:
        KeyRequest.of({"key": "my-secret-key-of-before"})
    assert "secret" not in error.value.message


def test_members_are_named_by_their_id() -> None:
    asked = TeamRequest.of({"members_with_roles": [{"role": "admin", "user_id": "ada"}, {"user_id": "bob"}]})
    assert asked.members == (Member("ada", "admin"), Member("bob", "user"))
    assert "user_id" in problems(TeamRequest, members_with_roles=[{"user_email": "a@b.c"}])["members_with_roles"]
    assert (
        "owner" in problems(TeamRequest, members_with_roles=[{"user_id": "a", "role": "owner"}])["members_with_roles"]
    )


def test_routes_and_kinds_are_those_that_there_are() -> None:
    assert "`llm_api_route`" in problems(KeyRequest, allowed_routes=["llm_api_route"])["allowed_routes"]
    assert "did you mean `management`?" in problems(KeyRequest, key_type="managment")["key_type"]
    assert KeyRequest.of({"allowed_routes": ["/v1/chat/*", "info_routes"]}).allowed_routes == (
        "/v1/chat/*",
        "info_routes",
    )
    assert "proxy_admin" in problems(UserRequest, user_role="root")["user_role"]


def test_a_key_that_is_made_is_128_random_bits_and_its_hash_is_litellms() -> None:
    first, second = tokens.make(), tokens.make()
    assert first != second and first.startswith("sk-") and len(first) == 25
    assert not tokens.weakness(first)
    assert tokens.name(first) == f"sk-...{first[-4:]}"
    assert tokens.hashed("sk-1234") == "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b"


@pytest.mark.parametrize("key", ["pk-0123456789abcdef", "sk-0123456789", "sk-0123456789 abcdef", "sk-aaaaaaaaaaaaaaaa"])
def test_a_key_of_ones_own_that_is_weak_is_refused(key: str) -> None:
    assert tokens.weakness(key)
