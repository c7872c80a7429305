"""Keys made by `aiops keys` and by LiteLLM's API, on a real gateway with two workers that goes on running."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from aiops.demo.child import DemoProvider
from tests.e2e.keys import priced
from tests.kit.gateway import Gateway
from tests.kit.waiting import until

BODY = {"model": "alpha", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8}


@pytest.fixture(scope="module")
def served(one: DemoProvider) -> Iterator[Gateway]:
    with priced(one) as gateway:
        yield gateway


def ask(gateway: Gateway, key: str) -> int:
    """On a connection of its own, so that any worker may answer."""
    answer = httpx.post(
        f"http://127.0.0.1:{gateway.port}/v1/chat/completions",
        json=BODY, headers={"authorization": f"Bearer {key}"}, timeout=10,
    )  # fmt: skip
    return answer.status_code


def manage(gateway: Gateway, method: str, path: str, body: Any = None, by: str = "", **query: str) -> httpx.Response:
    return httpx.request(
        method,
        f"http://127.0.0.1:{gateway.port}{path}",
        json=body,
        params=query,
        headers={"authorization": f"Bearer {by or gateway.key}", "litellm-changed-by": "ann@example.org"},
        timeout=10,
    )


def test_a_key_of_the_command_line_works_at_once_and_a_revoked_one_is_refused_by_every_worker(served: Gateway) -> None:
    key = served.must("keys", "create", "--alias", "ci", "--models", "alpha")["key"]
    assert ask(served, key) == 200
    served.must("teams", "create", "builds")
    served.must("keys", "update", "ci", "--team", "builds")
    for act, status in (("block", 401), ("unblock", 200)):
        for named in (("keys", act, "ci"), ("teams", act, "builds")):
            (receipt,) = served.must(*named)["receipt"]
            assert receipt["workers"] == 2 and receipt["seconds"] is not None
            if named != ("keys", "unblock", "ci"):  # its team is blocked still
                assert {ask(served, key) for _ in range(12)} == {status}, named  # the receipt is true
    (receipt,) = served.must("keys", "revoke", "ci")["receipt"]
    assert receipt["workers"] == 2 and receipt["seconds"] is not None
    assert {ask(served, key) for _ in range(12)} == {401}  # the receipt is true


def test_a_key_of_litellms_api_is_counted_and_its_spend_is_shown(served: Gateway) -> None:
    body = {"key_alias": "api", "models": ["alpha"], "max_budget": 1, "budget_duration": "30d"}
    made = manage(served, "POST", "/key/generate", body)
    assert made.status_code == 200, made.text
    key = made.json()["key"]
    assert ask(served, key) == 200
    spent = until(lambda: manage(served, "GET", "/key/info", key=key).json()["info"]["spend"], 10, "the ledger's row")
    assert served.must("usage", "--key", "api", "--by", "model")["usage"][0]["cost"] == spent
    (row,) = manage(served, "GET", "/spend/logs", api_key=key).json()
    assert row["spend"] == spent and row["model_group"] == "alpha"
    assert served.must("usage", "prove")["ok"]
    explained = served.must("keys", "explain", "api", "alpha")
    assert explained["passes"] and explained["counters"][0]["used"] == spent


def test_only_the_master_key_and_administrators_keys_administer(served: Gateway) -> None:
    user = served.must("keys", "create", "--alias", "user")["key"]
    boss = served.must("keys", "create", "--alias", "boss", "--admin")["key"]
    assert manage(served, "POST", "/key/generate", {}, user).status_code == 403
    assert manage(served, "POST", "/key/generate", {"key_alias": "made-by-boss"}, boss).status_code == 200
    shown = served.must("keys", "show", "made-by-boss")["info"]
    assert shown["created_by"] == "ann@example.org (key boss)"


def test_a_field_that_nobody_acts_on_is_refused_by_the_gateway_too(served: Gateway) -> None:
    answer = manage(served, "POST", "/key/generate", {"tpd_limit": 5, "rpm_limt": 1})
    assert answer.status_code == 400
    message = answer.json()["error"]["message"]
    assert "`tpd_limit` is not supported" in message and "did you mean `rpm_limit`?" in message
    assert manage(served, "POST", "/customer/new", {"user_id": "x"}).status_code == 400
