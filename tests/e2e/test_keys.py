"""Keys, limits, budgets and usage on a real gateway with two workers: what one counts the other knows."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from aiops.demo.child import DemoProvider
from aiops.state.money import nano
from aiops.state.store.rows import BudgetLimit
from tests.e2e.keys import Keys, keys_of, priced
from tests.kit.gateway import Gateway
from tests.kit.tls import TLS
from tests.kit.waiting import until


@pytest.fixture(scope="module")
def served(one: DemoProvider) -> Iterator[Gateway]:
    with priced(one) as gateway:
        yield gateway


@pytest.fixture
def keys(served: Gateway, one: DemoProvider) -> Iterator[Keys]:
    with keys_of(served) as found:
        yield found
    one.control(mode="ok", delay=0, tokens=8, chunk_delay=0, paths=[])


def error(answer: httpx.Response) -> dict[str, str]:
    found = answer.json()["error"]
    assert isinstance(found, dict)
    return found


def test_a_key_asks_models_and_sees_those_that_it_may_ask_for(keys: Keys) -> None:
    key = keys.make(models=("al*",))
    assert keys.ask(key).status_code == 200
    refused = keys.ask(key, model="beta")
    assert (refused.status_code, error(refused)["type"]) == (403, "key_model_access_denied")
    for path in ("/v1/models", "/model_group/info", "/v1/model/info"):
        listed = keys.get(key, path)
        assert listed.status_code == 200, listed.text
        assert len(listed.json()["data"]) == 1, path
        assert "beta" not in listed.text
    assert keys.get(key, "/v1/models/beta").status_code == 404
    assert keys.get(key, "/v1/models/alpha").json()["id"] == "alpha"


def test_no_detour_through_litellms_own_fields_leads_to_another_model(keys: Keys) -> None:
    key = keys.make(models=("alpha",))
    assert keys.ask(key, fallbacks=["beta"]).status_code == 403
    assert keys.ask(key, "/openai/deployments/beta/chat/completions").status_code == 403
    assert keys.ask(key, "/v1beta/models/beta:generateContent", contents=[]).status_code == 403


def test_a_key_opens_neither_the_management_api_nor_litellms_own(served: Gateway, keys: Keys) -> None:
    key = keys.make()
    assert keys.ask(key, "/key/generate").status_code == 403
    for path in ("/config/yaml", "/openapi.json", "/health", "/user/available_roles"):
        assert keys.get(key, path).status_code in (403, 404), path


def test_a_stolen_hash_is_no_key(keys: Keys) -> None:
    key = keys.make()
    refused = keys.ask(hashlib.sha256(key.encode()).hexdigest())
    assert (refused.status_code, error(refused)["type"]) == (401, "auth_error")


def test_a_key_is_taken_from_the_headers_of_anthropics_and_azures_clients(served: Gateway, keys: Keys) -> None:
    key = keys.make()
    body = {"model": "alpha", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}
    for header in ("x-api-key", "api-key", "x-goog-api-key"):
        answer = httpx.post(
            f"{served.url}/v1/messages", json=body, headers={header: key}, timeout=30, trust_env=False, verify=TLS
        )
        assert answer.status_code == 200, header
    assert {used.path for used in keys.used(key, 3)} == {"/v1/messages"}


def test_who_is_blocked_is_refused_by_every_worker(keys: Keys) -> None:
    key = keys.make()
    assert [keys.ask(key).status_code for _ in range(6)] == [200] * 6
    keys.change(key, blocked=True)
    until(lambda: {keys.ask(key).status_code for _ in range(10)} == {401}, 20, "a refusal of both workers")
    assert [keys.ask(key).status_code for _ in range(10)] == [401] * 10
    assert "blocked" in error(keys.ask(key))["message"]
    keys.change(key, blocked=False)
    until(lambda: keys.ask(key).status_code == 200, 20, "an answer")


def test_a_key_of_a_blocked_team_and_an_expired_key_are_told_why(keys: Keys) -> None:
    blocked = keys.ask(keys.make(team_id=keys.team(blocked=True)))
    assert (blocked.status_code, "is blocked" in error(blocked)["message"]) == (401, True)
    expired = keys.ask(keys.make(expires_at=int(time.time() * 1e6) - 1))
    assert (expired.status_code, error(expired)["type"]) == (401, "expired_key")


def test_anthropics_clients_are_refused_in_their_shape(keys: Keys) -> None:
    refused = keys.ask(keys.make(models=("beta",)), "/v1/messages").json()
    assert (refused["type"], refused["error"]["type"]) == ("error", "permission_error")


# --- limits -----------------------------------------------------------------------------------------------------------


def test_requests_of_a_minute_are_counted_over_both_workers(keys: Keys) -> None:
    key = keys.make(rpm_limit=7)
    with ThreadPoolExecutor(8) as several:
        answers = list(several.map(lambda _: keys.ask(key), range(20)))
    assert Counter(answer.status_code for answer in answers) == {200: 7, 429: 13}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["rate_limit_type"] == "requests"
    passed = [answer.headers for answer in answers if answer.status_code == 200]
    assert {headers["x-ratelimit-limit-requests"] for headers in passed} == {"7"}
    assert min(int(headers["x-ratelimit-api_key-remaining-requests"]) for headers in passed) == 0
    assert len(keys.used(key, 7)) == 7


def test_tokens_of_a_minute_are_what_was_used_and_not_what_was_guessed(keys: Keys) -> None:
    key = keys.make(tpm_limit=1000)
    answer = keys.ask(key, max_tokens=900)
    used = answer.json()["usage"]["total_tokens"]
    assert int(answer.headers["x-ratelimit-remaining-tokens"]) == 1000 - used
    second = keys.ask(key)
    assert int(second.headers["x-ratelimit-remaining-tokens"]) == 1000 - used - second.json()["usage"]["total_tokens"]
    refused = keys.ask(key, max_tokens=990)
    assert refused.status_code == 429
    assert f"Remaining: {refused.headers['x-ratelimit-remaining-tokens']}; this request may take" in refused.text
    assert int(refused.headers["x-ratelimit-remaining-tokens"]) > 900
    assert keys.ask(keys.make(tpm_limit=3)).status_code == 200
    debtor = keys.make(tpm_limit=3)
    assert [keys.ask(debtor).status_code for _ in range(2)] == [200, 429]


def test_requests_at_once_are_counted_over_both_workers_and_given_back(keys: Keys, one: DemoProvider) -> None:
    key = keys.make(max_parallel_requests=2)
    one.control(delay=0.5)
    with ThreadPoolExecutor(8) as several:
        answers = list(several.map(lambda _: keys.ask(key).status_code, range(8)))
    assert Counter(answers) == {200: 2, 429: 6}
    one.control(delay=0)
    assert [keys.ask(key).status_code for _ in range(8)] == [200] * 8


def test_a_budget_is_spent_to_its_end_and_then_nobody_tries_again(keys: Keys) -> None:
    key = keys.make(max_budget=nano("0.05"), budget_duration="30d")
    answers = [keys.ask(key) for _ in range(6)]
    statuses = [answer.status_code for answer in answers]
    assert statuses == sorted(statuses)
    assert statuses[0] == 200
    assert statuses[-1] == 429
    refused = answers[-1]
    assert error(refused)["type"] == "budget_exceeded"
    assert refused.headers["x-should-retry"] == "false"
    used = keys.used(key, statuses.count(200))
    assert sum(each.cost or 0 for each in used) >= nano("0.05")
    assert {each.cost for each in used} == {nano("0.014")}  # ten tokens and four, at a tenth of a cent
    assert answers[1].headers["x-litellm-key-spend"] == "0.014"


@pytest.mark.shows("aiops.yaml: keys.over_budget_status")
def test_a_key_that_has_spent_its_budget_is_told_so_with_the_status_of_the_settings(
    served: Gateway, keys: Keys
) -> None:
    key = keys.make(max_budget=1)
    assert keys.ask(key).status_code == 200
    assert keys.ask(key).status_code == 429
    settings = served.source("aiops.yaml")
    before = settings.read_text()
    settings.write_text(before + "keys: {over_budget_status: 422}\n")
    served.must("apply")
    try:
        refused = keys.ask(key)
        assert (refused.status_code, error(refused)["code"]) == (422, "422")
        assert error(refused)["type"] == "budget_exceeded"
        assert keys.ask(key, "/v1/messages").json()["error"]["type"] == "invalid_request_error"
    finally:
        settings.write_text(before)
        served.must("apply")


def test_a_team_spends_one_budget_with_all_its_keys(keys: Keys) -> None:
    team = keys.team(max_budget=nano("0.02"))
    first, second = keys.make(team_id=team), keys.make(team_id=team)
    assert keys.ask(first).status_code == keys.ask(second).status_code == 200
    refused = keys.ask(first)
    assert (refused.status_code, "Team" in error(refused)["message"]) == (429, True)


def test_several_budgets_count_at_once(keys: Keys) -> None:
    limits = (BudgetLimit(nano("0.02"), "1d"), BudgetLimit(nano(100), "30d"))
    key = keys.make(budget_limits=limits)
    assert [keys.ask(key).status_code for _ in range(3)] == [200, 200, 429]


# --- streams ----------------------------------------------------------------------------------------------------------


def test_a_stream_says_what_it_used_only_to_who_asked_and_the_ledger_has_both(keys: Keys) -> None:
    key = keys.make(tpm_limit=100_000)
    plain = keys.ask(key, stream=True).text
    told = keys.ask(key, stream=True, stream_options={"include_usage": True}).text
    assert '"usage"' not in plain
    assert json.loads(told.split("\n\n")[-3].removeprefix("data: "))["usage"]["total_tokens"] == 14
    assert plain.endswith("data: [DONE]\n\n")
    assert plain.count("data: ") == told.count("data: ") - 1
    for used in keys.used(key, 2):
        assert (used.prompt_tokens, used.completion_tokens, used.estimated, used.stream) == (10, 4, False, True)
        assert used.first is not None
        assert used.outcome == "answered"


def test_a_stream_of_a_server_without_stream_options_is_counted_by_its_own_numbers(served: Gateway, keys: Keys) -> None:
    """LiteLLM keeps the option to itself where the API has none, Ollama's here, and says the usage all the same."""
    key = keys.make(tpm_limit=100_000)
    with DemoProvider.double(models=("gamma",), face="ollama") as server:
        served.add("olla", server.url, "gamma", kind="ollama")
        try:
            plain = keys.ask(key, model="gamma", stream=True)
            keys.ask(key, "/v1/completions", model="gamma", messages=None, prompt="hello", stream=True)
            whole = keys.ask(key, model="gamma").json()["usage"]
            used = keys.used(key, 3)
        finally:
            served.must("remove-provider", "olla", "--force")
    assert plain.status_code == 200 and plain.text.endswith("data: [DONE]\n\n")
    assert '"usage"' not in plain.text
    assert not any(each.estimated for each in used)
    assert {each.completion_tokens for each in used} == {whole["completion_tokens"]}


def test_a_client_that_leaves_in_a_stream_gives_its_slot_back_and_pays_for_what_it_had(
    served: Gateway, keys: Keys, one: DemoProvider
) -> None:
    key = keys.make(max_parallel_requests=1)
    one.control(tokens=200, chunk_delay=0.02)
    body = {"model": "alpha", "messages": [{"role": "user", "content": "hello"}], "stream": True}
    headers = {"authorization": f"Bearer {key}"}
    with httpx.stream(
        "POST", f"{served.url}/v1/chat/completions", json=body, headers=headers, timeout=30, trust_env=False, verify=TLS
    ) as answer:
        lines = answer.iter_lines()
        for _ in range(20):
            next(lines)
    one.control(tokens=8, chunk_delay=0)
    until(lambda: keys.ask(key).status_code == 200, 20, "a free slot")
    left = next(used for used in keys.used(key, 2) if used.outcome == "left")
    assert left.estimated
    assert 0 < left.completion_tokens < 100


def test_other_apis_say_what_they_used_too(keys: Keys) -> None:
    key = keys.make(tpm_limit=100_000)
    assert keys.ask(key, "/v1/messages", stream=True).status_code == 200
    assert keys.ask(key, "/v1/completions", messages=None, prompt="hello", stream=True).status_code == 200
    assert keys.ask(key, "/v1/messages/count_tokens").status_code == 200
    used = {each.path: each for each in keys.used(key, 3)}
    assert used["/v1/messages"].completion_tokens == used["/v1/completions"].completion_tokens == 4
    assert not any(each.estimated for each in used.values())
    assert used["/v1/messages/count_tokens"].prompt_tokens == 0


def test_a_provider_that_fails_costs_nothing_and_is_written_down(keys: Keys, one: DemoProvider) -> None:
    key = keys.make(max_budget=nano(1), max_parallel_requests=1)
    one.control(mode="500")
    assert [keys.ask(key).status_code for _ in range(2)] == [500, 500]
    one.control(mode="drop_mid_stream", tokens=8)
    keys.ask(key, stream=True)
    one.control(mode="ok")
    assert keys.ask(key).status_code == 200
    used = keys.used(key, 4)
    assert Counter(each.outcome for each in used) == {"failed": 3, "answered": 1}
    assert {each.cost for each in used if each.status == 500} == {0}


def test_each_request_is_in_the_ledger_once_under_its_key_and_the_master_key_too(served: Gateway, keys: Keys) -> None:
    key = keys.make()
    with ThreadPoolExecutor(8) as several:
        list(several.map(lambda _: keys.ask(key), range(40)))
    used = keys.used(key, 40)
    assert len(used) == len({each.id for each in used}) == 40
    assert {each.served for each in used} == {"alpha"}
    assert {each.provider for each in used} == {"one"}
