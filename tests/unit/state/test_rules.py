"""Who may ask for what, and what that is counted on: no gateway is needed to know it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from aiops.state import rules
from aiops.state.counters.meters import Level, Meter, Refused
from aiops.state.money import nano
from aiops.state.shapes import Account, Budget, Identity, Limits

NOW = datetime(2026, 11, 27, 11, 0, tzinfo=UTC).timestamp()
SECRET = "sk-0123456789abcdefWXYZ"


def identity(*accounts: Account, **more: Any) -> Identity:
    return Identity(
        id="k",
        hash="h",
        name="sk-...WXYZ",
        alias="billing",
        accounts=accounts or (Account(kind="key", id="k"),),
        **more,
    )


def key(**more: Any) -> Account:
    return Account(kind="key", id="k", **more)


def team(**more: Any) -> Account:
    return Account(kind="team", id="t", **more)


def refused(whose: Identity, *models: str, path: str = "/v1/chat/completions", **more: Any) -> rules.Refusal:
    found = rules.allow(whose, path, models, NOW, **more)
    assert found is not None
    return found


def test_a_key_that_is_held_to_nothing_may_ask_for_everything() -> None:
    assert rules.allow(identity(), "/v1/chat/completions", ("any",), NOW) is None


@pytest.mark.parametrize(
    ("whose", "says"),
    [
        (identity(key(blocked=True)), "Key is blocked"),
        (identity(key(), team(blocked=True)), "Team=t is blocked"),
        (identity(key(), Account(kind="user", id="u", blocked=True)), "User=u is blocked"),
    ],
)
def test_who_is_blocked_is_refused_whatever_it_asks_for(whose: Identity, says: str) -> None:
    found = refused(whose)
    assert (found.status, found.kind, found.code) == (401, "auth_error", "401")
    assert says in found.message


def test_that_a_key_is_blocked_is_looked_at_before_anything_else() -> None:
    assert "blocked" in refused(identity(key(blocked=True), expires=NOW - 1), "x").message


def test_a_key_ends_at_its_hour_and_not_before() -> None:
    assert rules.valid(identity(expires=NOW + 1), NOW) is None
    found = rules.valid(identity(expires=NOW), NOW)
    assert found is not None
    assert (found.status, found.kind, found.param) == (401, "expired_key", "sk-...WXYZ")
    assert "2026-11-27 11:00:00 UTC" in found.message


@pytest.mark.parametrize(
    ("allowed", "asked", "passes"),
    [
        (("gpt-4o",), "gpt-4o", True),
        (("gpt-4o",), "gpt-4o-mini", False),
        (("gpt-*",), "gpt-4o-mini", True),
        (("gpt-*",), "claude", False),
        (("all-proxy-models",), "whatever", True),
        (("all-team-models",), "whatever", True),
        (("no-default-models",), "no-default-models", False),
        (("[ab]",), "a", False),
        (("high_throughput",), "high_throughput", True),
    ],
)
def test_the_models_of_a_key_are_names_and_patterns(allowed: tuple[str, ...], asked: str, passes: bool) -> None:
    assert (rules.allow(identity(key(models=allowed)), "/v1/chat/completions", (asked,), NOW) is None) is passes


def test_a_key_may_not_ask_for_what_its_team_may_not() -> None:
    whose = identity(key(models=("all-team-models",)), team(models=("alpha",)))
    assert rules.allow(whose, "/v1/chat/completions", ("alpha",), NOW) is None
    found = refused(whose, "beta")
    assert (found.status, found.kind, found.param) == (403, "team_model_access_denied", "model")
    assert "'beta' is not available" in found.message
    assert "alpha" in found.message


def test_every_model_that_a_request_could_lead_to_is_looked_at() -> None:
    assert refused(identity(key(models=("alpha",))), "alpha", "beta").kind == "key_model_access_denied"


@pytest.mark.parametrize(
    ("routes", "path", "area", "passes"),
    [
        (("llm_api_routes",), "/v1/chat/completions", "models", True),
        (("llm_api_routes",), "/key/info", "management", False),
        (("info_routes",), "/v1/models", "listings", True),
        (("info_routes",), "/v1/chat/completions", "models", False),
        (("management_routes",), "/key/info", "management", True),
        (("management_routes",), "/v1/embeddings", "models", False),
        (("anthropic_routes",), "/v1/messages", "models", True),
        (("openai_routes",), "/v1/messages", "models", False),
        (("openai_routes",), "/v1/embeddings", "models", True),
        (("google_routes",), "/v1beta/models/x:generateContent", "models", True),
        (("/v1/embeddings",), "/v1/embeddings", "models", True),
        (("/v1/chat/*",), "/v1/chat/completions", "models", True),
        (("/v1/chat/*",), "/v1/embeddings", "models", False),
    ],
)
def test_a_key_is_held_to_its_routes(routes: tuple[str, ...], path: str, area: Any, passes: bool) -> None:
    found = rules.allow(identity(routes=routes), path, (), NOW, area)
    assert (found is None) is passes
    assert found is None or found.status == 403


# --- what is counted --------------------------------------------------------------------------------------------------


def names(whose: Identity, model: str = "gpt-4o", now: float = NOW) -> dict[str, Meter]:
    return {meter.name: meter for meter in rules.counts(whose, model, now).meters}


def test_each_limit_of_everybody_a_key_counts_for_is_a_meter() -> None:
    limits = Limits(rpm=60, tpm=1000, parallel=3)
    found = names(identity(key(limits=limits), team(limits=Limits(rpm=100, shadow=True))))
    assert set(found) == {"key:k:rpm", "key:k:tpm", "key:k:parallel", "team:t:rpm"}
    assert (found["key:k:tpm"].what, found["key:k:tpm"].limit, found["key:k:tpm"].shown) == ("tokens", 1000, "key")
    assert found["team:t:rpm"].shadow
    assert not found["key:k:rpm"].shadow


def test_limits_of_one_model_count_for_it_alone_or_for_all_that_a_pattern_means() -> None:
    whose = identity(key(by_model={"gpt-*": Limits(rpm=5), "claude": Limits(tpm=9)}))
    assert set(names(whose)) == {"key:k:rpm:gpt-*"}
    assert names(whose)["key:k:rpm:gpt-*"].shown == "model_per_key"
    assert set(names(whose, "claude")) == {"key:k:tpm:claude"}
    assert not names(whose, "other")


def test_a_budget_is_counted_in_the_window_that_it_is_in() -> None:
    whose = identity(key(budgets=(Budget(most=nano(5), duration="1d"), Budget(most=nano(50))), epoch=3))
    found = rules.counts(whose, "x", NOW)
    midnight = int(datetime(2026, 11, 27, tzinfo=UTC).timestamp())
    assert [meter.name for meter in found.meters] == [f"key:k:usd:3:1d:{midnight}", "key:k:usd:3:ever:0"]
    assert found.until == found.meters[0].ends == midnight + 86_400
    assert found.has_budget
    assert names(whose, now=NOW + 86_400).keys() != names(whose).keys()


def test_what_was_spent_before_counts_in_the_window_that_it_was_said_in_and_in_no_later_one() -> None:
    whose = identity(key(budgets=(Budget(most=nano(5), duration="1d"),), base=nano(2), base_at=NOW - 60))
    assert rules.counts(whose, "x", NOW).meters[0].base == nano(2)
    assert rules.counts(whose, "x", NOW + 86_400).meters[0].base == 0


def test_two_budgets_of_one_duration_are_one_counter_which_the_smaller_one_refuses() -> None:
    budgets = (Budget(most=nano(9), duration="1d"), Budget(most=nano(5), duration="1d"))
    assert [meter.limit for meter in rules.counts(identity(key(budgets=budgets)), "x", NOW).meters] == [nano(5)]


def test_a_budget_of_one_model_is_a_counter_of_its_own_without_what_was_spent_before() -> None:
    whose = identity(key(budgets_by_model={"gpt-4o": (Budget(most=7),)}, base=5, base_at=NOW))
    (meter,) = rules.counts(whose, "gpt-4o", NOW).meters
    assert (meter.name, meter.base, meter.shown) == ("key:k:usd:0:ever:0:gpt-4o", 0, "model_per_key")


# --- what is full -----------------------------------------------------------------------------------------------------


def over(whose: Identity, used: int, *, wait: float | None, for_good: bool = False, reserved: int = 0) -> rules.Refusal:
    counts = rules.counts(whose, "x", NOW)
    level = Level(counts.meters[0], used, reserved, None)
    return rules.over(whose, counts.counted, Refused(level, wait, for_good, (level,)), NOW)


def test_who_is_over_a_limit_is_told_which_whose_and_for_how_long() -> None:
    found = over(identity(key(), team(limits=Limits(rpm=60), name="sales")), 60, wait=2.5)
    assert (found.status, found.wait, found.limit, found.final) == (429, 2.5, "requests", False)
    assert "team sales: 60 requests in 60 seconds" in found.message
    assert found.levels


def test_a_full_limit_names_no_more_of_the_key_than_its_end() -> None:
    found = over(identity(key(limits=Limits(tpm=60))), 60, wait=1)
    assert "sk-...WXYZ (billing)" in found.message
    assert SECRET not in found.message


def test_a_spent_budget_is_not_to_be_asked_again_and_says_when_it_begins_anew() -> None:
    found = over(identity(key(budgets=(Budget(most=nano(5), duration="1d"),))), nano(5), wait=None, for_good=True)
    assert (found.status, found.kind, found.final, found.wait) == (429, "budget_exceeded", True, None)
    assert "Current cost: $5.00, Max budget: $5.00" in found.message
    assert "2026-11-28 00:00:00 UTC" in found.message


def test_a_budget_that_others_hold_the_rest_of_may_be_asked_again() -> None:
    found = over(identity(key(budgets=(Budget(most=nano(5)),))), nano(5), wait=None, reserved=nano(3))
    assert (found.status, found.final, found.wait) == (429, False, 1.0)
    assert "$3.00 of it are reserved" in found.message
