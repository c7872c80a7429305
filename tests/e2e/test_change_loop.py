"""The life of an instance through its verbs: what each answers, and what is served after it."""

from __future__ import annotations

import fcntl
import json
import signal
import stat
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from aiops.apply.transaction import STEPS
from aiops.demo.child import DemoProvider
from tests.kit.gateway import GENERATION, Gateway
from tests.kit.tls import TLS
from tests.kit.waiting import until


def test_the_first_generation_serves_no_model_and_is_up(running: Gateway) -> None:
    shown = running.must("show", 1)
    assert shown["verb"] == "up"
    assert shown["outcome"]["outcome"] == "applied"
    assert shown["routes"] == []


def test_a_provider_that_is_added_answers_at_once(gateway: Gateway, two: DemoProvider) -> None:
    before = gateway.generation
    done = gateway.add("two", two.url, "gamma", reason="a second machine")
    assert done["outcome"] == "applied"
    assert (done["generation"] > before, done["previous"]) == (True, before)
    assert gateway.generation == done["generation"]
    assert gateway.ask("gamma").status_code == 200
    assert gateway.models() == ["alpha", "beta", "gamma"]


def test_a_mutating_verb_prints_the_object_of_the_contract(gateway: Gateway, two: DemoProvider) -> None:
    done = gateway.add("two", two.url, "gamma")
    assert {"outcome", "generation", "previous", "seconds", "steps", "checks"} <= set(done)
    assert 0 < done["seconds"] < 30
    steps = [step["name"] for step in done["steps"]]
    assert steps == list(STEPS)
    assert all(step["ok"] and step["seconds"] >= 0 for step in done["steps"])
    assert all({"id", "status", "detail", "ms"} == set(check) for check in done["checks"])
    passed = {check["id"] for check in done["checks"] if check["status"] == "pass"}
    assert {"provider:two", "answer:gamma", "stream:gamma", "auth:missing-key", "auth:wrong-key"} <= passed
    assert {"public:ready", "public:generation", "public:models", "public:answer:gamma"} <= passed


def test_only_new_and_changed_models_are_asked_to_prove_themselves(
    gateway: Gateway, one: DemoProvider, two: DemoProvider
) -> None:
    one.forget_requests()
    done = gateway.add("two", two.url, "gamma")
    assert not [check for check in done["checks"] if "alpha" in check["id"] or "beta" in check["id"]]
    assert one.requests() == []


def test_status_says_what_the_contract_promises(gateway: Gateway) -> None:
    # What an earlier test changed may still drain, which is said as long as it does.
    until(lambda: not gateway.status["notes"], 30, "the drain of an earlier generation")
    status = gateway.status
    assert status["generation"] == status["desired_generation"] == gateway.generation
    assert status["supervisor"] == "process"
    assert status["gateway"]["state"] == "running"
    assert status["gateway"]["url"] == f"{gateway.url}/v1"
    assert status["models"] == ["alpha", "beta"]
    assert status["drift"] == []
    assert status["notes"] == []


def test_env_is_all_a_client_needs(gateway: Gateway) -> None:
    values = gateway.must("env")
    listed = httpx.get(
        f"{values['OPENAI_BASE_URL']}/models", headers={"authorization": f"Bearer {values['OPENAI_API_KEY']}"}
    )
    assert listed.status_code == 200
    lines = gateway.say("env").out.splitlines()
    assert lines == [f"export {name}={value}" for name, value in values.items()]


REQUESTS: dict[str, tuple[str, str, dict[str, Any], int]] = {
    "an answer": ("GET", "/v1/models", {}, 200),
    "no key": ("GET", "/v1/models", {"headers": {}}, 401),
    "a wrong key": ("GET", "/v1/models", {"headers": {"authorization": "Bearer sk-wrong"}}, 401),
    "an unknown path": ("GET", "/v1/nothing/here", {}, 404),
    "an unknown model": ("POST", "/v1/chat/completions", {"json": {"model": "nobody", "messages": []}}, 400),
    "a body that is not JSON": ("POST", "/v1/chat/completions", {"content": b"{"}, 400),
    "live": ("GET", "/_health/live", {"headers": {}}, 200),
    "ready": ("GET", "/_health/ready", {"headers": {}}, 200),
    "live for a load balancer": ("GET", "/health/live", {"headers": {}}, 200),
    "ready for a load balancer": ("GET", "/health/ready", {"headers": {}}, 200),
    "LiteLLM's liveliness": ("GET", "/health/liveliness", {"headers": {}}, 200),
    "LiteLLM's readiness": ("GET", "/health/readiness", {"headers": {}}, 200),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_every_response_names_the_generation_that_made_it(gateway: Gateway, name: str) -> None:
    method, path, options, status = REQUESTS[name]
    options = {"headers": gateway.auth, **options}
    answer = httpx.request(method, gateway.url + path, trust_env=False, verify=TLS, **options)
    assert answer.status_code == status, answer.text
    assert answer.headers[GENERATION] == str(gateway.status["generation"])


def test_a_malformed_request_is_answered_with_the_generation_too(gateway: Gateway) -> None:
    import socket

    with socket.create_connection(("127.0.0.1", gateway.port)) as raw:
        raw.sendall(b"this is not HTTP\r\n\r\n")
        answer = raw.recv(4096).decode()
    assert answer.startswith("HTTP/1.1 400")
    assert f"{GENERATION}: {gateway.status['generation']}" in answer


def test_answers_do_not_show_where_the_provider_is(gateway: Gateway, one: DemoProvider) -> None:
    answer = gateway.ask("alpha")
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("llm_provider-")]
    assert str(one.port) not in str(answer.headers)


def test_ready_answers_in_the_shape_of_the_contract(gateway: Gateway) -> None:
    ready = gateway.get("/_health/ready", headers={}).json()
    assert ready["status"] == "ready"
    assert ready["generation"] == gateway.status["generation"]
    assert ready["checks"]
    assert gateway.get("/health/ready", headers={}).json() == {"status": "ok"}


def test_history_names_who_what_and_why_newest_first(gateway: Gateway, two: DemoProvider) -> None:
    number = gateway.add("two", two.url, "gamma", reason="ticket 42")["generation"]
    history = gateway.must("history")
    assert history["current"] == number
    newest = history["generations"][0]
    assert (newest["generation"], newest["verb"], newest["reason"]) == (number, "add-provider", "ticket 42")
    assert "@" in newest["who"]
    assert newest["outcome"]["outcome"] == "applied"
    numbers = [item["generation"] for item in history["generations"]]
    assert numbers == sorted(numbers, reverse=True)


def test_diff_says_what_two_generations_serve_differently(gateway: Gateway, two: DemoProvider) -> None:
    before = gateway.generation
    number = gateway.add("two", two.url, "gamma")["generation"]
    forth, back = gateway.must("diff", before, number)["lines"], gateway.must("diff", number, before)["lines"]
    assert any(line.startswith("+") and "gamma" in line for line in forth)
    assert any(line.startswith("-") and "gamma" in line for line in back)
    assert gateway.must("diff", number, number)["lines"] == []


def test_show_lists_the_routes_of_a_generation(gateway: Gateway) -> None:
    shown = gateway.must("show", gateway.generation)
    assert [(route["model"], route["provider"]) for route in shown["routes"]] == [("alpha", "one"), ("beta", "one")]
    assert gateway.cli("show", 999).code == 2
    assert "there is no generation 999" in gateway.cli("show", 999).message


def test_the_gateways_log_is_shown(gateway: Gateway) -> None:
    assert any("serves" in line for line in gateway.must("logs")["lines"])
    assert len(gateway.say("logs", "-n", "1").out.splitlines()) == 1


def test_the_log_has_no_colour_in_a_pipe(gateway: Gateway) -> None:
    log = gateway.home / "logs" / "gateway.log"
    with log.open("a") as file:
        file.write("\033[92m12:00:00 - LiteLLM\033[0m: \033[1;31mred\033[0m\n")
    assert gateway.must("logs", "-n", "1")["lines"] == ["12:00:00 - LiteLLM: red"]
    assert gateway.say("logs", "-n", "1").out == "12:00:00 - LiteLLM: red\n"


def test_ctrl_c_ends_following_the_log(gateway: Gateway) -> None:
    argv = gateway.argv("logs", "-f", "-n", "1")
    process = subprocess.Popen(argv, env=gateway.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    try:
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr.read() == b""
    finally:
        process.kill()
        process.wait()


def test_ctrl_c_while_another_change_is_waited_for_changes_nothing(gateway: Gateway, two: DemoProvider) -> None:
    before = gateway.snapshot()
    with (gateway.home / "state" / "lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(
            gateway.argv(*gateway.adding("two", two.url, "gamma")), env=gateway.env, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        try:
            assert process.stderr.readline().startswith("waiting for ")
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=30)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 130
    assert said.splitlines()[-2:] == ["error: interrupted before anything was begun", "hint: nothing was changed"]
    assert gateway.snapshot() == before


def test_ctrl_c_does_not_wait_for_a_provider_that_hangs(gateway: Gateway, two: DemoProvider) -> None:
    """The proof would have a minute."""
    before = gateway.snapshot()
    two.control(mode="hang", paths=["/v1/chat/completions"])
    two.forget_requests()
    argv = gateway.argv("--json", *gateway.adding("two", two.url, "gamma"))
    process = subprocess.Popen(argv, env=gateway.env, stdout=subprocess.PIPE, text=True)
    try:
        until(lambda: any("chat" in request["path"] for request in two.requests()), 30, "the proof asks")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
        two.control(mode="ok", paths=[])
    assert process.returncode == 130
    error = json.loads(out)["error"]
    assert (error["code"], error["message"]) == ("interrupted", "interrupted during `prove`")
    assert error["hint"] == "nothing is left half-made"
    after = gateway.snapshot()
    assert {name: after[name] for name in before} == before
    assert gateway.models() == ["alpha", "beta"]


def test_add_model_and_remove_model_change_one_model(gateway: Gateway, two: DemoProvider) -> None:
    gateway.add("two", two.url, "gamma")
    gateway.must("add-model", "two", "delta")
    assert gateway.ask("delta").status_code == 200
    gateway.must("remove-model", "two", "gamma", "--force")
    assert gateway.models() == ["alpha", "beta", "delta"]
    refused = gateway.cli("remove-provider", "two")
    assert (refused.code, refused.message) == (4, "nobody would answer delta any more")
    assert "--force" in refused.hint
    assert gateway.models() == ["alpha", "beta", "delta"]
    gateway.must("remove-provider", "two", "--force")
    assert gateway.models() == ["alpha", "beta"]


def test_a_provider_whose_names_others_answer_or_nobody_did_is_removed_as_it_is(
    gateway: Gateway, two: DemoProvider
) -> None:
    gateway.add("two", two.url, "gamma")
    gateway.must("disable", "two", "--force")
    gateway.must("remove-provider", "two")
    assert gateway.models() == ["alpha", "beta"]


def test_a_fallback_does_not_hide_that_a_new_model_does_not_answer(gateway: Gateway, two: DemoProvider) -> None:
    two.forget_requests()
    two.control(mode="500", paths=["/v1/chat/completions"])
    refused = gateway.cli(*gateway.adding("two", two.url, "gamma", fallback="alpha"))
    two.control(mode="ok", paths=[])
    assert refused.code == 7
    assert sorted(line.split(": ")[0] for line in refused.failed) == ["answer:gamma", "stream:gamma"]
    bodies = [request["body"] for request in two.requests() if request["method"] == "POST"]
    assert bodies
    assert not [body for body in bodies if "disable_fallbacks" in body], "LiteLLM's parameter must not go upstream"


def test_discover_takes_the_models_the_provider_lists(gateway: Gateway, two: DemoProvider) -> None:
    gateway.must(*gateway.adding("two", two.url), "--discover")
    assert gateway.models() == ["alpha", "beta", "delta", "gamma"]


def test_a_dry_run_prints_the_plan_and_touches_nothing(gateway: Gateway, two: DemoProvider) -> None:
    before = gateway.snapshot()
    planned = gateway.must(*gateway.adding("two", two.url, "gamma"), "--dry-run")
    assert planned["outcome"] == "planned"
    assert planned["plan"]["base_generation"] == gateway.generation
    assert gateway.snapshot() == before
    said = gateway.say(*gateway.adding("two", two.url, "gamma"), "--dry-run")
    assert "gamma" in said.err
    assert "nothing was changed" in said.err


def test_a_change_that_changes_nothing_restarts_nothing(gateway: Gateway, one: DemoProvider) -> None:
    before, workers = gateway.snapshot(), gateway.workers()
    one.forget_requests()
    for again in (gateway.adding("one", one.url, "alpha", "beta"), ["enable", "one"], ["apply"]):
        done = gateway.must(*again)
        assert (done["outcome"], done["generation"]) == ("unchanged", gateway.generation)
    assert gateway.workers() == workers
    assert gateway.snapshot() == before
    assert one.requests() == []
    assert "nothing was restarted" in gateway.say("apply").out


def test_comments_of_the_operator_survive_a_change(gateway: Gateway, two: DemoProvider) -> None:
    kept = gateway.source("providers.yaml").read_text()
    gateway.add("two", two.url, "gamma")
    text = gateway.source("providers.yaml").read_text()
    assert [line for line in kept.splitlines() if line.startswith("#")] == [
        line for line in text.splitlines() if line.startswith("#")
    ]


# --- disable and enable ---------------------------------------------------------------------------------------------


def test_models_of_a_disabled_provider_are_answered_by_their_fallback(
    gateway: Gateway, one: DemoProvider, two: DemoProvider
) -> None:
    gateway.add("two", two.url, "gamma", fallback="alpha")
    done = gateway.must("disable", "two", "--reason", "new disk")
    assert done["outcome"] == "applied"
    assert "answer:gamma" in {check["id"] for check in done["checks"] if check["status"] == "pass"}
    one.forget_requests()
    two.forget_requests()
    assert gateway.models() == ["alpha", "beta", "gamma"]
    assert gateway.ask("gamma").status_code == 200
    assert [request["body"]["model"] for request in one.requests()] == ["alpha"]
    assert two.requests() == []
    gateway.must("enable", "two")
    assert gateway.ask("gamma").status_code == 200
    assert [request["body"]["model"] for request in two.requests() if request["body"]][-1] == "gamma"


def test_models_left_without_any_route_are_named_and_need_force(gateway: Gateway) -> None:
    before = gateway.snapshot()
    refused = gateway.cli("disable", "one")
    assert refused.code == 4
    assert refused.data["outcome"] == "refused"
    assert refused.message == "nobody would answer alpha, beta any more"
    again = f"`aiops --home {gateway.home} disable one --force`"
    assert refused.hint == f"give them a fallback first, or repeat with --force: {again}"
    assert gateway.snapshot() == before
    done = gateway.must("disable", "one", "--force")
    assert [item["model"] for item in done["plan"]["unrouted"]] == ["alpha", "beta"]
    assert gateway.models() == []
    assert gateway.ask("alpha").status_code in (400, 404)


# --- rollback -------------------------------------------------------------------------------------------------------


def test_a_rollback_restores_sources_and_release_together(gateway: Gateway, two: DemoProvider) -> None:
    before = gateway.generation
    sources = {name: gateway.source(name).read_bytes() for name in ("aiops.yaml", "providers.yaml")}
    release = gateway.source("litellm-unified.yaml").read_bytes()
    bad = gateway.add("two", two.url, "gamma")["generation"]
    done = gateway.must("rollback", "--reason", "gamma talks nonsense")
    assert (done["outcome"], done["previous"]) == ("applied", bad)
    assert done["generation"] == bad + 1
    assert {name: gateway.source(name).read_bytes() for name in sources} == sources
    assert gateway.source("litellm-unified.yaml").read_bytes() == release
    assert gateway.models() == ["alpha", "beta"]
    assert gateway.must("show", done["generation"])["restores"] == before
    assert gateway.status["drift"] == []


def test_a_rollback_is_proved_like_any_change(gateway: Gateway, two: DemoProvider) -> None:
    gateway.add("two", two.url, "gamma", fallback="alpha")
    gateway.must("remove-provider", "two", "--force")
    two.control(mode="500", paths=["/v1/chat/completions"])
    before = gateway.snapshot()
    refused = gateway.cli("rollback", "--reason", "I want gamma back")
    two.control(mode="ok")
    assert refused.code == 7
    assert any("answer:gamma" in line for line in refused.failed)
    after = gateway.snapshot()
    assert {name: after[name] for name in before} == before
    assert gateway.must("rollback", "--reason", "once more")["outcome"] == "applied"
    assert gateway.ask("gamma").status_code == 200


def test_a_rollback_writes_an_incident_record(gateway: Gateway, two: DemoProvider) -> None:
    bad = gateway.add("two", two.url, "gamma")["generation"]
    done = gateway.must("rollback", "--reason", "gamma talks nonsense")
    path = gateway.home / "state" / "incidents" / f"{done['generation']:06d}.json"
    record = json.loads(path.read_text())
    assert record["reason"] == "gamma talks nonsense"
    assert record["rolled_back_from"] == bad
    assert any("gamma" in line for line in record["undone"])
    assert record["checks"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_next_change_does_not_bring_back_what_was_rolled_back(gateway: Gateway, two: DemoProvider) -> None:
    gateway.add("two", two.url, "gamma")
    gateway.must("rollback", "--reason", "gamma talks nonsense")
    gateway.must("remove-model", "one", "beta", "--force")
    assert gateway.models() == ["alpha"]
    assert "two" not in gateway.source("providers.yaml").read_text().replace("# ", "")


def test_two_rollbacks_in_a_row_go_further_back_and_not_to_what_was_undone(gateway: Gateway, two: DemoProvider) -> None:
    first = gateway.generation
    gateway.add("two", two.url, "gamma")
    gateway.must("add-model", "two", "delta")
    gateway.must("rollback", "--reason", "no delta")
    assert gateway.models() == ["alpha", "beta", "gamma"]
    gateway.must("rollback", "--reason", "no gamma either")
    assert gateway.models() == ["alpha", "beta"]
    assert gateway.must("diff", first, gateway.generation)["lines"] == []


def test_a_rollback_needs_a_reason_and_a_generation_that_served(gateway: Gateway) -> None:
    assert gateway.cli("rollback").code == 2
    assert gateway.cli("rollback").message == "a rollback needs a reason"
    assert gateway.cli("rollback", 999, "--reason", "x").code == 2
    assert gateway.cli("rollback", 999, "--dry-run").message == "there is no generation 999"
    here = gateway.generation
    refused = gateway.cli("rollback", here, "--reason", "x")
    assert (refused.code, refused.message) == (2, f"generation {here} is the one that serves")


def test_every_attempt_is_in_the_audit_log(gateway: Gateway, two: DemoProvider) -> None:
    gateway.cli("disable", "one")
    gateway.add("two", two.url, "gamma", reason="ticket 43")
    lines = [json.loads(line) for line in Path(gateway.home / "logs" / "audit.jsonl").read_text().splitlines()]
    refused, applied = lines[-2:]
    assert (refused["verb"], refused["outcome"], refused["exit"]) == ("disable", "refused", 4)
    assert (applied["verb"], applied["outcome"], applied["reason"]) == ("add-provider", "applied", "ticket 43")
    assert applied["who"]
