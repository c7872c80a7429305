"""keys.yaml on a real gateway: planned, applied, drifted and rolled back with everything else."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from aiops.demo.child import DemoProvider
from tests.kit.gateway import Gateway
from tests.kit.tls import TLS
from tests.kit.waiting import until

LIVE_SECONDS = 20.0  # that are waited for; it takes a tenth of one


@pytest.fixture(scope="module")
def served(one: DemoProvider) -> Iterator[Gateway]:
    gateway = Gateway()
    try:
        gateway.init()
        gateway.up()
        gateway.add("one", one.url, "alpha", "beta")
        yield gateway
    finally:
        gateway.destroy()


def write(gateway: Gateway, text: str) -> None:
    (gateway.home / "config" / "keys.yaml").write_text(text)


def secret(gateway: Gateway, alias: str) -> Path:
    return gateway.home / "secrets" / "keys" / alias


def ask(gateway: Gateway, key: str, model: str = "alpha") -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}
    headers = {"authorization": f"Bearer {key}"}
    url = f"http://127.0.0.1:{gateway.port}/v1/chat/completions"
    return httpx.post(url, json=body, headers=headers, timeout=30, trust_env=False, verify=TLS)


def test_a_key_is_made_limited_changed_put_back_and_rolled_back_by_its_file(served: Gateway) -> None:
    assert "rows" not in served.must("plan")
    write(served, "teams: {research: {rpm_limit: 600}}\nkeys: {ci: {team: research, models: [alpha], rpm_limit: 60}}\n")
    planned = served.say("plan").out
    assert "live with this:\n  + team research: new, 600 requests a minute\n" in planned
    said = "+ key ci: new, models alpha, 60 requests a minute, team research"
    assert f"{said}; its secret will be in {secret(served, 'ci')}" in planned
    assert not secret(served, "ci").exists()

    applied = served.must("apply")
    assert applied["outcome"] == "applied"
    assert "keys" in [step["name"] for step in applied["steps"]]
    path = secret(served, "ci")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = path.read_text().strip()
    answer = ask(served, key)
    assert (answer.status_code, answer.headers["x-ratelimit-limit-requests"]) == (200, "60")
    assert ask(served, key, "beta").status_code == 403
    made = served.home / "state" / "generations" / f"{applied['generation']:06d}"
    assert all(key.encode() not in each.read_bytes() for each in made.rglob("*") if each.is_file())
    assert served.must("apply")["outcome"] == "unchanged"

    write(served, "teams: {research: {rpm_limit: 600}}\nkeys: {ci: {team: research, rpm_limit: 120}}\n")
    assert "~ key ci: rpm_limit 60 -> 120; models alpha -> none" in served.say("plan").out
    served.must("apply")
    until(lambda: ask(served, key, "beta").headers.get("x-ratelimit-limit-requests") == "120", LIVE_SECONDS, "120")

    served.must("keys", "update", "ci", "--rpm-limit", "7", "--max-budget", "3")
    drift = served.must("status")["drift"]
    assert [line for line in drift if line.startswith("key ci is not as in keys.yaml (rpm_limit, max_budget)")], drift
    assert "~ key ci: rpm_limit 7 -> 120; max_budget $3.00 -> none; changed by hand since" in served.say("plan").out
    served.must("apply")
    assert served.must("status")["drift"] == []
    until(lambda: ask(served, key).headers.get("x-ratelimit-limit-requests") == "120", LIVE_SECONDS, "120 again")

    served.must("rollback", str(applied["generation"]), "--reason", "too much")
    assert "rpm_limit: 60" in (served.home / "config" / "keys.yaml").read_text()
    until(lambda: ask(served, key).headers.get("x-ratelimit-limit-requests") == "60", LIVE_SECONDS, "60 again")
    assert ask(served, key, "beta").status_code == 403

    first = served.must("rollback", str(applied["previous"]), "--reason", "before there was a keys.yaml")
    blocked = [row for row in first["plan"]["rows"] if row["name"] == "ci"]
    assert blocked[0]["detail"] == "blocked false -> true; not in keys.yaml any more; it stays, blocked, for reports"
    assert not (served.home / "config" / "keys.yaml").exists()
    until(lambda: ask(served, key).status_code == 401, LIVE_SECONDS, "its refusal")


def test_a_key_that_is_there_keeps_working_when_the_file_takes_it_over_and_is_given_back(served: Gateway) -> None:
    key = served.must("keys", "create", "--alias", "old", "--rpm-limit", "7")["key"]
    write(served, "keys: {old: {rpm_limit: 9}}\n")
    assert "~ key old: rpm_limit 7 -> 9; managed by keys.yaml from now on" in served.say("plan").out
    served.must("apply")
    assert not secret(served, "old").exists()
    until(lambda: ask(served, key).headers.get("x-ratelimit-limit-requests") == "9", LIVE_SECONDS, "9")
    served.must("rollback", "--reason", "not yet")
    until(lambda: ask(served, key).headers.get("x-ratelimit-limit-requests") == "7", LIVE_SECONDS, "7 again")


def test_a_wrong_file_is_refused_whole_and_nothing_is_made(served: Gateway) -> None:
    write(served, "keys:\n  new: {rpm_limit: -1}\n  other: {allowed_routes: [nowhere]}\n")
    answer = served.say("apply", "--yes")
    assert answer.code == 3
    assert "keys.yaml:2: `keys.new.rpm_limit` should be at least 0" in answer.err
    write(served, "keys:\n  new:\n    allowed_routes: [nowhere]\n")
    for words in (("validate", "--offline"), ("plan",), ("apply", "--yes")):
        answer = served.say(*words)
        assert answer.code == 3, words
        assert "keys.yaml:3: `keys.new.allowed_routes` has `nowhere`, which is no route" in answer.err
    assert "new" not in served.say("keys", "list").out
    (served.home / "config" / "keys.yaml").unlink()
