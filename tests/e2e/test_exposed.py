"""``gateway.expose``: what is closed by default is opened by name, and only that."""

from __future__ import annotations

import base64

import httpx
import pytest

from aiops.state.money import nano
from tests.e2e.keys import keys_of
from tests.kit.gateway import Gateway


@pytest.mark.shows("aiops.yaml: gateway.expose")
def test_a_group_is_opened_by_its_name_and_a_key_is_still_asked(gateway: Gateway) -> None:
    assert gateway.get("/openapi.json").status_code == 404
    gateway.edit("aiops.yaml", "  # expose: []", "  expose: [openapi]")
    gateway.must("apply")
    refused = gateway.get("/openapi.json", {})
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Basic")
    # LiteLLM takes its time to write it.
    reference = httpx.get(f"{gateway.url}/openapi.json", headers=gateway.auth, timeout=60, trust_env=False)
    assert reference.json()["openapi"]
    assert gateway.get("/utils/model_info").status_code == 404
    # A browser asks for a name and a password; the password is the key.
    password = base64.b64encode(f"operator:{gateway.key}".encode()).decode()
    page = gateway.get("/redoc", {"authorization": f"Basic {password}"})
    assert page.status_code == 200
    assert "text/html" in page.headers["content-type"]


def test_a_group_that_does_not_exist_is_refused_with_the_nearest(gateway: Gateway) -> None:
    gateway.edit("aiops.yaml", "  # expose: []", "  expose: [openap]")
    answer = gateway.cli("validate")
    gateway.edit("aiops.yaml", "  expose: [openap]", "  # expose: []")
    assert answer.code == 3
    text = answer.out + answer.err
    assert "`gateway.expose[0]` should be one of" in text
    assert "openapi" in text


def test_who_has_a_budget_does_not_get_round_it_there_and_what_passes_is_in_the_ledger(gateway: Gateway) -> None:
    gateway.edit("aiops.yaml", "  # expose: []", "  expose: [utils]")
    gateway.must("apply")
    path, body = "/utils/token_counter", {"model": "alpha", "messages": [{"role": "user", "content": "hello"}]}
    with keys_of(gateway) as keys:
        held, free = keys.make(admin=True, max_budget=nano(1)), keys.make(admin=True)

        def ask(key: str) -> httpx.Response:
            headers = {"authorization": f"Bearer {key}"}
            return httpx.post(gateway.url + path, json=body, headers=headers, timeout=60, trust_env=False)

        refused = ask(held)
        assert (refused.status_code, refused.json()["error"]["type"]) == (403, "auth_error")
        assert ask(keys.make()).status_code == 403
        counted = ask(free)
        assert counted.status_code == 200, counted.text
        assert counted.json()["total_tokens"] > 0
        (used,) = keys.used(free, 1)
    assert (used.path, used.outcome, used.status, used.cost) == (path, "answered", 200, 0)
