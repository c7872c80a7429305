"""Keys of LiteLLM on a running aiops: every old key goes on working, and holds to what it held to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from aiops.demo.child import DemoProvider
from tests.docs.console import Shell, commands
from tests.kit.gateway import Gateway
from tests.kit.litellm_database import EARLIER, KEYS, TEAMS, LiteLLMDatabase, hashed, later
from tests.kit.postgres import Postgres
from tests.kit.waiting import until
from tests.kit.warm.product import BIN, ROOT
from tests.kit.warm.session import starts

PAGE = ROOT / "docs/keys-import.md"


@pytest.fixture(scope="module")
def theirs(postgres: Postgres) -> Iterator[LiteLLMDatabase]:
    url = postgres.database()
    yield LiteLLMDatabase(url)
    postgres.drop(url)


@pytest.fixture(scope="module")
def gateway(theirs: LiteLLMDatabase) -> Iterator[Gateway]:
    with DemoProvider.double(models=("alpha", "beta")) as provider:
        made = Gateway()
        try:
            made.init()
            made.up()
            made.add("one", provider.url, "alpha", "beta")
            written = f"    base_url: {provider.url}\n"
            made.edit("providers.yaml", written, f"{written}    cost_per_1k_tokens: 1.0\n")
            made.must("apply")
            (made.home / "litellm").write_text(theirs.url)
            (made.home / "litellm").chmod(0o600)
            yield made
        finally:
            made.destroy()


def ask(gateway: Gateway, key: str, model: str = "alpha") -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 5}
    headers = {"authorization": f"Bearer {key}"}
    return httpx.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers, timeout=30)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["type"]


def take_over(gateway: Gateway, *arguments: str) -> None:
    gateway.must("keys", "import", "--database-url-file", gateway.home / "litellm", *arguments)


def test_every_old_key_goes_on_working_on_the_running_gateway(theirs: LiteLLMDatabase, gateway: Gateway) -> None:
    current, blocked, of_team = "sk-the-key-as-it-is-now", "sk-one-that-is-blocked", "sk-one-of-a-blocked-team"
    held, spent, fresh = "sk-one-held-to-beta-only", "sk-one-that-spent-it-all", "sk-one-whose-day-began-anew"
    before, over = "sk-the-key-before-rotation", "sk-the-key-long-before"
    theirs.add(TEAMS, team_id="off", team_alias="Off", blocked=True)
    theirs.key(current, key_alias="current")
    theirs.key(blocked, key_alias="blocked", blocked=True)
    theirs.key(of_team, key_alias="of a blocked team", team_id="off")
    theirs.key(held, key_alias="held", models=["beta"])
    theirs.key(spent, key_alias="spent", max_budget=1.0, spend=1.0)
    theirs.key(
        fresh, key_alias="fresh", max_budget=1.0, spend=1.0, budget_duration="1d", budget_reset_at=later(minutes=-1)
    )
    theirs.add(EARLIER, id="1", token=hashed(before), active_token_id=hashed(current), revoke_at=later(hours=1))
    theirs.add(EARLIER, id="2", token=hashed(over), active_token_id=hashed(current), revoke_at=later(hours=-1))
    assert ask(gateway, current).status_code == 401
    take_over(gateway)
    until(lambda: ask(gateway, current).status_code == 200, 20, "the key")
    assert ask(gateway, before).status_code == ask(gateway, fresh).status_code == 200
    assert ask(gateway, held, "beta").status_code == 200
    assert refusal(ask(gateway, held)) == (403, "key_model_access_denied")
    assert refusal(ask(gateway, spent)) == (429, "budget_exceeded")
    for key in (blocked, of_team, over):
        assert ask(gateway, key).status_code == 401


def test_money_spent_on_both_sides_counts_once(theirs: LiteLLMDatabase, gateway: Gateway) -> None:
    """The cut-over: what aiops counted stays, and what LiteLLM counted since is put to it."""
    key = "sk-one-that-is-used-on-both"
    token = theirs.key(key, key_alias="both", max_budget=10.0, spend=2.0)
    take_over(gateway)
    until(lambda: ask(gateway, key).status_code == 200, 20, "the key")
    here = until(lambda: spent(gateway, "both") - 2.0, 10, "what it cost in the ledger")
    theirs.change(KEYS, {"token": token}, spend=3.0)
    take_over(gateway)
    assert spent(gateway, "both") == pytest.approx(3.0 + here, abs=1e-9)
    assert ask(gateway, key).status_code == 200
    until(lambda: spent(gateway, "both") > 3.0 + here, 10, "the next request's cost")
    assert spent(gateway, "both") == pytest.approx(3.0 + 2 * here, abs=1e-9)
    gateway.must("usage", "prove")
    theirs.change(KEYS, {"token": token}, spend=9.999)
    take_over(gateway)
    until(lambda: ask(gateway, key).status_code == 429, 20, "the end of its budget")


def spent(gateway: Gateway, key: str) -> float:
    found = gateway.must("keys", "show", key)
    return float(found["info"]["spend"])


def test_the_page_does_what_it_shows(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.database()
    theirs = LiteLLMDatabase(url)
    theirs.add(TEAMS, team_id="builds", team_alias="Builds")
    theirs.key("sk-AnnAnnAnnAnnAnnAnnAnnAn", key_alias="ann", spend=0.3, max_budget=25.0, budget_duration="30d",
               metadata={"logging": [{"callback_name": "langfuse"}]})  # fmt: skip
    theirs.key("sk-CiCiCiCiCiCiCiCiCiCiCiC", key_alias="ci", spend=19.0, metadata={"guardrails": ["pii"]})
    theirs.key("sk-a-session-of-a-dashboard", team_id="litellm-dashboard", spend=0.5)
    theirs.key("sk-one-that-expired-before", expires=later(seconds=-5), spend=0.25)
    gateway = Gateway()
    try:
        gateway.init()
        env = {**gateway.env, "PATH": f"{starts.path(BIN)}:{os.environ['PATH']}"}
        shell = Shell(tmp_path, {**env, "AIOPS_HOME": str(gateway.home), "LITELLM_DATABASE_URL": url})
        for command in commands(PAGE.read_text()):
            shell.run(command)
    finally:
        gateway.destroy()
        postgres.drop(url)
