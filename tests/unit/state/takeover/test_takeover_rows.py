"""What becomes of LiteLLM's rows, without any database."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.state import money, tokens
from aiops.state.store import rows
from aiops.state.store.rows import BudgetLimit
from aiops.state.takeover import litellm
from aiops.state.takeover import words as w
from aiops.state.takeover.litellm import Database
from aiops.state.takeover.translate import Taken, Translated, bounding, translate

NOW = 1_795_780_800_000_000  # 2026-11-27 12:00 UTC
DAY = 86_400_000_000


def a_key(name: str = "sk-abcdefghijklmnopqrstuv", **fields: Any) -> litellm.Key:
    blank: dict[str, Any] = dict.fromkeys(
        ("expires", "user_id", "team_id", "max_parallel_requests", "tpm_limit", "rpm_limit", "max_budget",
         "budget_duration", "budget_reset_at")
    )  # fmt: skip
    given = {"spend": 0.0, "models": (), "metadata": {}, "key_alias": "mine", "key_name": "sk-...stuv", **fields}
    return litellm.Key(token=tokens.hashed(name), **{**blank, **given})


def a_budget(id: str = "b1", **fields: Any) -> litellm.Budget:
    blank: dict[str, Any] = dict.fromkeys(
        ("max_budget", "soft_budget", "max_parallel_requests", "tpm_limit", "rpm_limit", "budget_duration",
         "budget_reset_at")
    )  # fmt: skip
    return litellm.Budget(budget_id=id, **{**blank, **fields})


def a_team(id: str = "t1", **fields: Any) -> litellm.Team:
    blank: dict[str, Any] = dict.fromkeys(
        ("team_alias", "max_budget", "tpm_limit", "rpm_limit", "budget_duration", "budget_reset_at")
    )
    return litellm.Team(team_id=id, **{**blank, "metadata": {}, "spend": 0.0, "models": (), **fields})


def a_user(id: str = "u1", **fields: Any) -> litellm.User:
    blank: dict[str, Any] = dict.fromkeys(
        ("user_role", "max_budget", "user_email", "max_parallel_requests", "tpm_limit", "rpm_limit",
         "budget_duration", "budget_reset_at")
    )  # fmt: skip
    return litellm.User(user_id=id, **{**blank, "spend": 0.0, "models": (), **fields})


def of(**rows: Any) -> Translated:
    return translate(Database(source="here", now=NOW, **rows))


def the_key(translated: Translated) -> rows.Key:
    (taken,) = (each.row for each in translated.taken if each.kind == "key")
    assert isinstance(taken, rows.Key)
    return taken


def said(translated: Translated) -> set[str]:
    return {note.word.word for note in translated.notes}


def test_a_key_keeps_its_hash_its_limits_and_what_it_spent() -> None:
    key = a_key(
        spend=1.2345678915,
        models=("gpt-4o", "all-team-models"),
        rpm_limit=60,
        tpm_limit=10_000_000_000,
        max_parallel_requests=3,
        max_budget=12.5,
        budget_duration="30d",
        budget_reset_at=1_796_083_200_000_000,  # 2026-12-01
        metadata={"model_rpm_limit": {"gpt-4o": 5}, "model_tpm_limit": {"gpt-4o": 500}, "tags": ["a"], "mine": 1},
        created_at=5,
        updated_at=6,
    )
    taken = of(keys=(key,))
    row = the_key(taken)
    assert (row.rpm_limit, row.tpm_limit, row.max_parallel_requests) == (60, 10_000_000_000, 3)
    assert (row.max_budget, row.budget_duration) == (12_500_000_000, "30d")
    assert (row.base_spend, row.base_at) == (1_234_567_892, NOW)  # the half to the even one
    assert row.models == ("gpt-4o", "all-team-models")
    assert (row.model_rpm_limit, row.model_tpm_limit, row.tags) == ({"gpt-4o": 5}, {"gpt-4o": 500}, ("a",))
    assert row.metadata == {"mine": 1}
    assert (row.alias, row.name, row.created_at, row.updated_at) == ("mine", "sk-...stuv", 5, 6)
    assert [valid.hash for valid in taken.taken[0].hashes] == [key.token]
    assert said(taken) == set()


def test_blocked_null_is_not_blocked() -> None:
    assert [the_key(of(keys=(a_key(blocked=value),))).blocked for value in (None, False, True)] == [False, False, True]


def test_sessions_of_the_dashboard_and_expired_keys_are_counted_with_their_money() -> None:
    keys = (
        a_key("sk-one-session-of-somebody", team_id="litellm-dashboard", spend=1.0),
        a_key("sk-one-that-is-over", expires=NOW, spend=2.0),
        a_key("sk-one-that-is-not-over", expires=NOW + 1, spend=4.0),
    )
    taken = of(keys=keys)
    assert the_key(taken).base_spend == 4 * money.NANO
    assert {(each.why, each.count, each.spent) for each in taken.skipped} == {
        ("sessions of the dashboard", 1, money.NANO),
        ("expired", 1, 2 * money.NANO),
    }


def test_earlier_hashes_of_a_rotated_key_stay_valid_as_long_as_they_were() -> None:
    new, old, older, over = (tokens.hashed(f"sk-{each}-of-one-key") for each in ("new", "old", "older", "over"))
    deprecated = (
        litellm.Deprecated(token=old, active_token_id=new, revoke_at=NOW + DAY),
        litellm.Deprecated(token=older, active_token_id=old, revoke_at=NOW + 2 * DAY),
        litellm.Deprecated(token=over, active_token_id=new, revoke_at=NOW),
    )
    taken = of(keys=(a_key("sk-new-of-one-key"),), deprecated=deprecated)
    hashes = {valid.hash: valid.expires_at for valid in taken.taken[0].hashes}
    assert hashes == {new: None, old: NOW + DAY, older: NOW + DAY}
    assert [(each.kind, each.count) for each in taken.skipped] == [("earlier hash", 1)]


def test_what_was_spent_before_a_budget_began_anew_does_not_count_and_is_told() -> None:
    over = a_key(spend=7.0, max_budget=9.0, budget_duration="1d", budget_reset_at=NOW)
    taken = of(keys=(over,)).taken[0]
    assert (taken.spent.read, taken.spent.counts) == (7 * money.NANO, 0)


def test_the_budget_that_a_key_is_lent_says_when_it_begins_anew() -> None:
    budget = a_budget(max_budget=3.0, budget_duration="1d", budget_reset_at=NOW - 1)
    taken = of(keys=(a_key(spend=7.0, budget_id="b1"),), budgets=(budget,))
    assert the_key(taken).budget_id == "b1" and the_key(taken).base_spend == 0
    assert said(of(keys=(a_key(budget_id="gone"),))) == {"no-budget"}


def test_several_budgets_have_each_what_was_spent_in_its_own_window() -> None:
    limits = [{"budget_duration": "1d", "max_budget": 5.0}, {"budget_duration": "30d", "max_budget": 50.0}]
    key = a_key(spend=800.0, budget_limits=limits)
    spends = tuple(
        litellm.WindowSpend(entity_type="key", entity_id=key.token, window_duration=each, window_start=at, spend=spend)
        for each, at, spend in (("1d", NOW - DAY // 2, 2.5), ("30d", NOW - 40 * DAY, 30.0))
    )
    row = the_key(of(keys=(key,), window_spends=spends))
    assert row.budget_limits == (BudgetLimit(5 * money.NANO, "1d"), BudgetLimit(50 * money.NANO, "30d"))
    assert row.base_windows == {"1d": 2_500_000_000, "30d": 0}  # the second is of a month that is over
    assert said(of(keys=(key,))) == {"from-zero"}


@pytest.mark.parametrize(
    "wording", [{"budget_limit": 2.5, "time_period": "1d"}, {"max_budget": 2.5, "budget_duration": "1d"}]
)
def test_a_budget_of_one_model_is_read_in_both_wordings(wording: dict[str, Any]) -> None:
    row = the_key(of(keys=(a_key(model_max_budget={"gpt-4o": wording}),)))
    assert row.model_max_budget == {"gpt-4o": (BudgetLimit(2_500_000_000, "1d"),)}


HELD: list[tuple[dict[str, Any], str]] = [
    ({"metadata": {"guardrails": ["pii"]}}, "guardrails"),
    ({"metadata": {"policies": ["p"]}}, "policies"),
    ({"policies": ("p",)}, "policies"),
    ({"object_permission_id": "o"}, "object-permissions"),
    ({"project_id": "p"}, "projects"),
    ({"agent_id": "a"}, "agents"),
    ({"tpd_limit": 5}, "daily-tokens"),
    ({"allowed_cache_controls": ("no-store",)}, "cache-controls"),
    ({"metadata": {"enforced_params": ["user"]}}, "enforced-params"),
    ({"metadata": {"tag_rpm_limit": {"a": 1}}}, "tag-limits"),
    ({"metadata": {"mcp_rpm_limit": {"a": 1}}}, "mcp-limits"),
    ({"metadata": {"model_itpm_limit": {"a": 1}}}, "tokens-apart"),
    ({"metadata": {"end_user_budget_id": "b"}}, "customers"),
    ({"max_budget": math.nan}, "unreadable"),
    ({"budget_duration": "soon"}, "unreadable"),
    ({"metadata": '{"half":'}, "unreadable"),
]


@pytest.mark.parametrize(("fields", "word"), HELD, ids=lambda value: str(value))
def test_what_held_a_key_back_is_named_with_its_alias(fields: dict[str, Any], word: str) -> None:
    taken = of(keys=(a_key(**fields),))
    assert bounding(taken.notes) == [word]
    assert {(note.kind, note.name) for note in taken.notes} == {("key", "mine")}


TOLD: list[tuple[dict[str, Any], str]] = [
    ({"aliases": {"a": "b"}}, "model-aliases"),
    ({"config": {"a": 1}}, "own-settings"),
    ({"router_settings": {"num_retries": 3}}, "own-settings"),
    ({"permissions": {"get_spend_routes": True}}, "permissions"),
    ({"budget_fallbacks": {"a": ["b"]}}, "budget-fallbacks"),
    ({"auto_rotate": True}, "rotation"),
    ({"access_group_ids": ("g",)}, "access-groups"),
    ({"organization_id": "o"}, "organizations"),
    ({"key_type": "management"}, "administrators"),
    ({"allowed_routes": ("management_routes",)}, "administrators"),
    ({"team_id": "gone"}, "no-team"),
    ({"max_budget": 1e12}, "too-much"),
    ({"metadata": {"logging": [{"callback_vars": {"secret": "x"}}]}}, "callbacks"),
    ({"metadata": {"throttle_on_budget_exceeded": True}}, "throttle"),
    ({"metadata": {"rpm_limit_type": "dynamic"}}, "dynamic-limits"),
]


@pytest.mark.parametrize(("fields", "word"), TOLD, ids=lambda value: str(value))
def test_what_is_different_is_told_and_stops_nothing(fields: dict[str, Any], word: str) -> None:
    taken = of(keys=(a_key(**fields),))
    assert said(taken) == {word} and bounding(taken.notes) == []


def test_a_password_of_a_callback_is_not_taken_over() -> None:
    row = the_key(of(keys=(a_key(metadata={"logging": [{"langfuse_secret": "hidden"}], "mine": 1}),)))
    assert row.metadata == {"mine": 1}


def test_no_limit_of_litellm_is_no_limit_here() -> None:
    quiet = {
        "aliases": {}, "config": {}, "permissions": {}, "model_max_budget": {}, "budget_fallbacks": {},
        "max_budget": math.inf, "metadata": {"rpm_limit_type": "best_effort_throughput", "guardrails": []},
    }  # fmt: skip
    taken = of(keys=(a_key(**quiet),))
    assert the_key(taken).max_budget is None and said(taken) == set()


@pytest.mark.parametrize("key", ["sk-1234", "sk-0042", "sk-mine", "sk-mine-key"])
def test_a_key_that_can_be_guessed_is_named(key: str) -> None:
    assert said(of(keys=(a_key(key),))) == {"guessed"}


def test_a_key_in_clear_is_told_without_showing_it() -> None:
    taken = of(keys=(litellm.Key(**{**vars(a_key()), "token": "sk-in-clear", "key_alias": None, "key_name": None}),))
    assert said(taken) == {"not-hashed"} and not taken.taken
    assert "in-clear" not in repr(taken.notes)


def test_two_keys_of_one_alias_are_told_apart() -> None:
    keys = (a_key("sk-second-of-two-keys", created_at=2), a_key("sk-first-of-two-keys", created_at=1))
    taken = of(keys=keys)
    aliases = [each.row.alias for each in taken.taken if isinstance(each.row, rows.Key)]
    assert aliases == ["mine", "mine (2)"] and said(taken) == {"renamed"}


def test_members_come_with_their_roles_budgets_and_what_they_spent() -> None:
    team = a_team(
        team_alias="Research",
        members_with_roles=[{"role": "admin", "user_id": "u1"}, {"role": "user", "user_email": "x@example.org"}],
        members=("u2",),
        metadata={"team_member_budget_id": "default"},
    )
    memberships = (
        litellm.Membership(user_id="u1", team_id="t1", spend=1.5, budget_id="own"),
        litellm.Membership(user_id="u3", team_id="t1", spend=0.25, budget_id=None),
        litellm.Membership(user_id="u4", team_id="gone", spend=8.0, budget_id=None),
    )
    budgets = (a_budget("own", max_budget=2.0, allowed_models=("gpt-4o",)), a_budget("default", max_budget=1.0))
    taken = of(teams=(team,), memberships=memberships, budgets=budgets)
    found = {each.row.user_id: each.row for each in taken.taken if isinstance(each.row, rows.Member)}
    assert {id: (row.role, row.budget_id, row.base_spend) for id, row in found.items()} == {
        "u1": ("admin", "own", 1_500_000_000),
        "u2": ("user", None, 0),
        "u3": ("user", None, 250_000_000),
    }
    assert found["u1"].models == ("gpt-4o",)
    (made,) = (each.row for each in taken.taken if isinstance(each.row, rows.Team))
    assert made.member_budget_id == "default" and made.metadata is None
    assert said(taken) == {"emails"}
    assert [(each.kind, each.why, each.spent) for each in taken.skipped] == [("member", "of no team", 8 * money.NANO)]


def test_a_user_that_was_switched_off_is_blocked() -> None:
    taken = of(users=(a_user(metadata={"scim_active": False}), a_user("u2", metadata={"scim_active": True})))
    assert [each.row.blocked for each in taken.taken if isinstance(each.row, rows.User)] == [True, False]


def test_keys_of_administrators_only_ask_models() -> None:
    taken = of(keys=(a_key(user_id="u1"),), users=(a_user(user_role="proxy_admin"),))
    assert not the_key(taken).admin and said(taken) == {"administrators"}


def test_an_organization_holds_back_only_with_limits() -> None:
    organization = litellm.Organization(organization_id="o", organization_alias="Acme", budget_id="b1", spend=3.0)
    taken = of(keys=(a_key(organization_id="o"),), organizations=(organization,), budgets=(a_budget(),))
    assert bounding(taken.notes) == [] and said(taken) == {"organizations"}
    taken = of(keys=(a_key(organization_id="o"),), organizations=(organization,), budgets=(a_budget(max_budget=5.0),))
    assert bounding(taken.notes) == ["organization-limits"]
    assert {(note.kind, note.name) for note in taken.notes} == {("key", "mine"), ("organization", "Acme")}


def test_customers_tags_projects_and_the_whole_gateway_are_named() -> None:
    taken = of(
        customers=(litellm.Customer(user_id="c", spend=1.0, blocked=True), litellm.Customer(user_id="d", spend=1.0)),
        tags=(litellm.Tag(tag_name="prod", spend=2.0, budget_id="b1"),),
        projects=(litellm.Project(project_id="p", spend=0.0),),
        users=(a_user("litellm-proxy-budget", spend=9.0, max_budget=100.0),),
        rows_elsewhere={"LiteLLM_PolicyAttachmentTable": 2, "LiteLLM_OrganizationMembership": 0},
    )
    assert bounding(taken.notes) == ["customers", "policies", "projects", "tag-budgets", "whole-budget"]
    assert sum(each.spent for each in taken.skipped) == 13 * money.NANO


amounts = st.floats(min_value=0, max_value=8e6, allow_nan=False) | st.floats(0, 1e-6) | st.floats(0, 10)


@given(st.lists(amounts, max_size=50))
def test_no_money_is_lost_on_the_way(spends: list[float]) -> None:
    keys = tuple(a_key(f"sk-number-{number}-of-many", key_alias=None, spend=each) for number, each in enumerate(spends))
    taken: list[Taken] = list(of(keys=keys).taken)
    assert sum(each.row.base_spend for each in taken if isinstance(each.row, rows.Key)) == sum(map(money.nano, spends))
    exact = sum((Decimal(repr(each)) for each in spends), Decimal(0)) * money.NANO
    assert abs(exact - sum(each.spent.read for each in taken)) <= Decimal(len(spends)) / 2


def test_every_word_is_known_by_its_name() -> None:
    assert all(word == each.word for word, each in w.WORDS.items()) and len(w.WORDS) > 40
