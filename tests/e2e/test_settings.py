"""What `aiops.yaml` says is what the gateway does: each setting changed, and the difference seen from outside."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import httpx
import pytest

from aiops.demo.child import DemoProvider
from tests.kit.gateway import Gateway

CHAT = "/v1/chat/completions"


def setting(gateway: Gateway, old: str, new: str) -> None:
    """A hand edit of one commented default, made live."""
    gateway.edit("aiops.yaml", old, new)
    gateway.must("apply")


def asked(provider: DemoProvider) -> int:
    return sum(request["path"] == CHAT for request in provider.requests())


@pytest.mark.shows("aiops.yaml: gateway.host")
def test_it_listens_where_it_is_told(gateway: Gateway) -> None:
    setting(gateway, "  # host: 127.0.0.1", "  host: 127.0.0.2")
    there = f"http://127.0.0.2:{gateway.port}/v1/models"
    assert httpx.get(there, headers=gateway.auth, trust_env=False).status_code == 200
    with pytest.raises(httpx.ConnectError):
        gateway.get("/v1/models")


@pytest.mark.shows("aiops.yaml: gateway.request_timeout")
def test_a_provider_that_hangs_is_given_up_in_time(gateway: Gateway, one: DemoProvider) -> None:
    setting(gateway, "  # request_timeout: 600", "  request_timeout: 1")
    one.control(mode="hang", paths=[CHAT])
    answer = gateway.ask("alpha")  # which itself waits for 30 seconds
    assert answer.status_code == 408, answer.text


@pytest.mark.shows("aiops.yaml: gateway.stream_timeout")
def test_a_stream_that_does_not_begin_is_given_up_in_time(gateway: Gateway, one: DemoProvider) -> None:
    setting(gateway, "  # stream_timeout: 600", "  stream_timeout: 1")
    one.control(mode="hang", paths=[CHAT])
    answer = gateway.ask("alpha", stream=True)
    assert answer.status_code == 408, answer.text


@pytest.mark.shows("aiops.yaml: gateway.retries")
def test_a_failed_request_is_tried_again_as_often_as_allowed(gateway: Gateway, one: DemoProvider) -> None:
    setting(gateway, "  # retries: 0", "  retries: 2")
    one.control(mode="500", paths=[CHAT])
    one.forget_requests()
    assert gateway.ask("alpha").status_code == 500
    assert asked(one) == 3
    setting(gateway, "  retries: 2", "  retries: 0")
    one.forget_requests()
    assert gateway.ask("alpha").status_code == 500
    assert asked(one) == 1


@pytest.mark.shows("aiops.yaml: gateway.lanes")
def test_everybody_is_asked_by_way_of_litellm_when_it_says_so(gateway: Gateway) -> None:
    assert gateway.ask("alpha").headers["x-aiops-lane"] == "direct"
    setting(gateway, "  # lanes: auto", "  lanes: litellm")
    assert gateway.ask("alpha").headers["x-aiops-lane"] == "litellm"


@pytest.mark.shows("aiops.yaml: verify.timeout")
def test_a_proof_takes_no_longer_than_it_may(gateway: Gateway, two: DemoProvider) -> None:
    gateway.edit("aiops.yaml", "  # timeout: 60", "  timeout: 1")
    two.control(mode="hang", paths=[CHAT])
    try:
        refused = gateway.cli(*gateway.adding("two", two.url, "gamma"))
    finally:
        two.control(mode="ok", paths=[])
        gateway.edit("aiops.yaml", "  timeout: 1", "  # timeout: 60")
    assert refused.code == 7
    assert "answer:gamma: no answer within 1 s" in refused.failed


@pytest.mark.shows("aiops.yaml: master_key_file")
def test_the_master_key_may_be_kept_elsewhere(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"sk-{secrets.token_urlsafe(24)}\n")
    file.chmod(0o600)
    setting(gateway, "# master_key_file: /etc/aiops/master_key", f"master_key_file: {file}")
    assert gateway.get("/v1/models").status_code == 401
    new = {"authorization": f"Bearer {file.read_text().strip()}"}
    assert gateway.get("/v1/models", headers=new).status_code == 200


@pytest.mark.shows("aiops.yaml: history.keep")
def test_no_more_generations_are_kept_than_asked_for(running: Gateway) -> None:
    """The last one here: what it forgets cannot be gone back to."""
    running.edit("aiops.yaml", "  keep: 20", "  keep: 3")
    written = "  # drain_seconds: 3600"
    for seconds in (1, 2, 3, 4):
        setting(running, written, f"  drain_seconds: {seconds}")
        written = f"  drain_seconds: {seconds}"
    outcomes = [
        json.loads(path.read_text())["outcome"] for path in running.home.glob("state/generations/*/outcome.json")
    ]
    assert outcomes.count("applied") == 3, "what was refused takes no place"
