"""What the gateway does when a provider does not answer, and that nothing it counts is left behind."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.routed import PROVIDER, TIMEOUT, Routed, routed
from tests.kit.tls import TLS
from tests.kit.waiting import until

POOL = (
    "{strategy: direct, providers: [{provider: east, preferred_model: alpha}, {provider: west, preferred_model: beta}]}"
)
MAPPINGS = f"load_balancing:\n  pool: {POOL}\nfallback_chains:\n  alpha: {{chain: [beta]}}\n"
AVOIDING = """\
special_cases:
  rate_limited_fallback: {enabled: true, fallback_duration_seconds: 3}
  error_based_routing: {enabled: true, error_threshold: 3, cooldown_seconds: 3}
"""
FAULTS = ["429", "500", "drop_before", "drop_before_token", "hang"]


@pytest.fixture(scope="module")
def gateway() -> Iterator[Routed]:
    with routed(MAPPINGS) as made:
        yield made


@contextlib.contextmanager
def also(gateway: Routed, more: str) -> Iterator[None]:
    """With more in the mappings, for a while."""
    mappings = gateway.instance.source("model-mappings.yaml")
    mappings.write_text(MAPPINGS + more)
    gateway.instance.must("apply")
    try:
        yield
    finally:
        gateway.calm()
        mappings.write_text(MAPPINGS)
        gateway.instance.must("apply")


@pytest.fixture
def avoiding(gateway: Routed) -> Iterator[Routed]:
    with also(gateway, AVOIDING):
        gateway.east.forget_requests()  # those that proved it
        yield gateway


@pytest.fixture(autouse=True)
def calm(gateway: Routed) -> None:
    gateway.calm()


def models_in(stream: str) -> set[str]:
    return set(re.findall('"model":"([^"]*)"', stream))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["pool", "alpha"])
@pytest.mark.parametrize("mode", FAULTS)
def test_another_answers_in_time_and_is_named(gateway: Routed, mode: str, model: str, stream: bool) -> None:
    gateway.east.control(mode=mode)
    began = time.monotonic()
    answer = gateway.ask(model, stream=stream)
    seconds = time.monotonic() - began
    assert answer.status_code == 200, answer.text
    assert answer.headers[PROVIDER] == "west"
    assert answer.headers["x-litellm-attempted-fallbacks"] == "1"
    assert answer.text.count("w3 ") == 1  # whole, and once
    assert not stream or models_in(answer.text) == {"pool" if model == "pool" else "beta"}, "names that users know"
    # A server that closes a connection which was kept, without a word, may not have seen the request: it is sent again.
    assert gateway.asked(gateway.east) in [["alpha"], *([["alpha"] * 2] if mode == "drop_before" else [])]
    assert seconds < TIMEOUT + 1.5
    until(lambda: gateway.in_flight() == {"east": 0, "west": 0}, 20)  # the worker counts after the last byte


@pytest.mark.parametrize("model", ["pool", "alpha"])
@pytest.mark.parametrize("mode", ["drop_before_token", "ok"])
def test_a_stream_that_begins_and_says_nothing_is_answered_by_another(gateway: Routed, mode: str, model: str) -> None:
    """Its first piece, a role without a word, comes long before it breaks off, or hangs past the time-out."""
    gateway.east.control(mode=mode, chunk_delay=0.3 if mode == "drop_before_token" else TIMEOUT + 5)
    began = time.monotonic()
    answer = gateway.ask(model, stream=True)
    seconds = time.monotonic() - began
    assert (answer.status_code, answer.headers[PROVIDER]) == (200, "west")
    assert answer.headers["x-litellm-attempted-fallbacks"] == "1"
    assert models_in(answer.text) == {"pool" if model == "pool" else "beta"}
    assert answer.text.count("w3 ") == 1
    assert answer.text.count('"role":"assistant"') == 1, "the one who said nothing has no part in the answer"
    assert seconds < TIMEOUT + 1.5
    assert gateway.in_flight() == {"east": 0, "west": 0}


def test_another_answers_when_nobody_listens_there(gateway: Routed) -> None:
    os.kill(gateway.east.process.pid, signal.SIGKILL)
    gateway.east.process.wait()
    try:
        assert gateway.who("pool") == "west"
    finally:
        gateway.east = gateway.east.restarted()
    assert gateway.who("pool") == "east"


def test_when_nobody_answers_the_last_one_asked_is_named(gateway: Routed) -> None:
    for provider in (gateway.east, gateway.west):
        provider.control(mode="500")
    answer = gateway.ask("pool")
    assert answer.status_code == 500
    assert answer.headers[PROVIDER] == "west"


def test_a_caller_who_wants_no_fallback_gets_none(gateway: Routed) -> None:
    gateway.east.control(mode="500")
    answer = gateway.ask("pool", disable_fallbacks=True)
    assert (answer.status_code, answer.headers[PROVIDER]) == (500, "east")


def test_fallbacks_are_shown_with_their_reason(gateway: Routed) -> None:
    gateway.east.control(mode="429")
    assert gateway.who("pool") == "west"
    wanted = {"model": "pool", "from": "east", "to": "west", "failure": "HTTP 429"}
    until(
        lambda: any(
            wanted.items() <= entry.items() and entry["taken"] >= 1 for entry in gateway.routes()[0]["fallbacks"]
        ),
        2,
    )


# --- avoided ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["pool", "alpha"])
def test_a_provider_at_its_limit_is_left_alone_for_a_while(avoiding: Routed, model: str) -> None:
    avoiding.east.control(mode="429")
    assert avoiding.spread(model, 6) == {"west": 6}
    assert avoiding.asked(avoiding.east) == ["alpha"]
    assert avoiding.providers()["east"]["avoided"]["reason"] == "it limits requests"
    avoiding.east.control(mode="ok")
    until(lambda: avoiding.who(model) == "east", 20)


def test_errors_in_a_row_lead_to_a_cooldown(avoiding: Routed) -> None:
    until(lambda: avoiding.who("pool") == "east", 20)
    avoiding.east.forget_requests()
    avoiding.east.control(mode="500")
    assert avoiding.spread("pool", 8) == {"west": 8}
    assert avoiding.asked(avoiding.east) == ["alpha"] * 3
    avoiding.east.control(mode="ok")
    until(lambda: avoiding.who("pool") == "east", 20)


@pytest.mark.parametrize("said", [{"timeout": 0.2}, {"request_timeout": 0.2}, {"stream_timeout": 0.2, "stream": True}])
def test_a_client_without_patience_makes_no_provider_a_failing_one(avoiding: Routed, said: dict[str, float]) -> None:
    avoiding.east.control(mode="hang")
    avoiding.west.control(mode="hang")
    for _ in range(4):
        assert avoiding.ask("pool", **said).status_code in (408, 500, 504)
    assert [(one["errors_in_a_row"], one["avoided"]) for one in avoiding.providers().values()] == [(0, None)] * 2
    avoiding.calm()
    assert avoiding.who("pool") == "east"


def test_the_only_one_left_is_asked_even_when_it_is_avoided(avoiding: Routed) -> None:
    for provider in (avoiding.east, avoiding.west):
        provider.control(mode="429")
    assert avoiding.ask("pool").status_code == 429
    for provider in (avoiding.east, avoiding.west):
        provider.control(mode="ok")
    assert avoiding.ask("pool").status_code == 200


def test_a_provider_that_breaks_streams_in_the_middle_is_avoided_too(avoiding: Routed) -> None:
    until(lambda: avoiding.who("pool") == "east", 20)
    avoiding.east.control(mode="drop_mid_stream")
    for _ in range(3):
        avoiding.ask("pool", stream=True)
    until(lambda: avoiding.providers()["east"]["avoided"], 20)


def test_a_cold_provider_is_asked_after_a_warm_one(gateway: Routed) -> None:
    gateway.east.control(mode="hang", paths=["/v1/models", "/health"])
    with also(gateway, "special_cases:\n  first_request_routing: {warm_check_timeout_ms: 200}\n"):
        assert gateway.who("pool") == "west"
        gateway.east.control(mode="ok", paths=[])
        until(lambda: gateway.who("pool") == "east", 15)


# --- nothing is left behind ---------------------------------------------------------------------------------------


def test_clients_that_leave_leave_nothing_in_flight(gateway: Routed) -> None:
    body = {"model": "pool", "messages": [{"role": "user", "content": "hello"}]}
    gateway.east.control(delay=0.5, tokens=20, chunk_delay=0.05)
    for stream, seconds in ((False, 0.2), (True, 0.2), (True, 0.8)):
        for _ in range(5):
            with (
                contextlib.suppress(httpx.TimeoutException),
                httpx.Client(headers=gateway.instance.auth, timeout=None, trust_env=False, verify=TLS) as client,
            ):
                leave(client, gateway.instance.url, {**body, "stream": stream}, seconds)
    until(lambda: gateway.in_flight() == {"east": 0, "west": 0}, 10)


def leave(client: httpx.Client, url: str, body: dict[str, object], seconds: float) -> None:
    """Begin to read the answer, and close the connection after ``seconds``."""
    deadline = time.monotonic() + seconds
    with client.stream("POST", f"{url}/v1/chat/completions", json=body, timeout=seconds) as answer:
        for _ in answer.iter_raw():
            if time.monotonic() > deadline:
                return


def test_every_ending_there_is_leaves_nothing_in_flight(gateway: Routed) -> None:
    for mode in (*FAULTS[:-1], "drop_mid_stream", "wrong_json", "html", "401"):
        gateway.east.control(mode=mode)
        for stream in (False, True):
            gateway.ask("pool", stream=stream)
            gateway.post(
                "/v1/messages", model="pool", max_tokens=4, stream=stream, messages=[{"role": "user", "content": "x"}]
            )
        gateway.post("/v1/completions", model="pool", prompt="x")
        gateway.post("/v1/embeddings", model="pool", input="x")
        gateway.post("/v1/responses", model="pool", input="x")
        gateway.ask("pool,alpha")
    until(lambda: gateway.in_flight() == {"east": 0, "west": 0}, 10)
