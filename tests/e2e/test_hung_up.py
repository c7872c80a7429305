"""A client that hangs up stops its provider: nothing goes on for nobody, and nothing is left behind."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.keys import Keys, keys_of
from tests.e2e.patient import Patient, patient
from tests.e2e.routed import private
from tests.kit.gateway import Gateway, serving
from tests.kit.waiting import until

SOON = 5.0  # seconds; the provider of a client that stays would be held for minutes
CHAT: dict[str, Any] = {"model": "alpha", "messages": [{"role": "user", "content": "hello" * 40}], "max_tokens": 400}
ASKED = {
    "/v1/chat/completions": CHAT,
    "/v1/messages": CHAT,
    "/v1/completions": {"model": "alpha", "prompt": "hello" * 40, "max_tokens": 400},
    "/v1/embeddings": {"model": "alpha", "input": "hello" * 40},
    "/v1/responses": {"model": "alpha", "input": "hello" * 40},
}


@pytest.fixture(scope="module")
def provider() -> Iterator[Patient]:
    with patient() as found:
        yield found


@pytest.fixture(scope="module")
def served(provider: Patient) -> Iterator[Gateway]:
    more = "    cost_per_1k_tokens: 1.0\n    max_parallel: 2\n    queue: {most: 16, seconds: 60}\n"
    with serving(provider.url, "alpha", more=more) as gateway:
        yield gateway


@pytest.fixture
def keys(served: Gateway, provider: Patient) -> Iterator[Keys]:
    provider.says, provider.seconds = "everything", 0.0
    provider.go_on.clear()
    provider.asked.clear()
    with keys_of(served) as found:
        yield found
    provider.go_on.set()
    until(lambda: in_flight(served) == 0, SOON, "nothing in flight")


class Client:
    """Somebody who asks and does not wait for the answer."""

    def __init__(self, gateway: Gateway, key: str, path: str, body: dict[str, Any], *headers: str) -> None:
        data = json.dumps(body).encode()
        head = (f"POST {path} HTTP/1.1", "host: gateway", f"authorization: Bearer {key}", *headers)
        rest = ("content-type: application/json", f"content-length: {len(data)}", "", "")
        self._socket = socket.create_connection(("127.0.0.1", gateway.port))
        self._socket.sendall("\r\n".join((*head, *rest)).encode() + data)

    def read(self) -> bytes:
        return self._socket.recv(65536)

    def hang_up(self) -> None:
        self._socket.close()


def in_flight(gateway: Gateway) -> int:
    return int(routes(gateway)["providers"][0]["in_flight"])


def routes(gateway: Gateway) -> dict[str, Any]:
    (group,) = [group for group in gateway.status["gateway"]["groups"] if group["role"] == "serving"]
    return private(group["workers"][0]["http"])


def log(gateway: Gateway) -> str:
    return (gateway.home / "logs" / "gateway.log").read_text()


@pytest.mark.parametrize(
    ("path", "stream", "says"),
    [
        *((path, False, "nothing") for path in ASKED),
        *((path, True, "nothing") for path in ASKED if path != "/v1/embeddings"),
        ("/v1/chat/completions", True, "head"),
        ("/v1/chat/completions", True, "token"),
        ("/v1/messages", True, "head"),
    ],
)
def test_a_client_that_hangs_up_closes_the_connection_to_its_provider_and_pays_for_the_prompt(
    served: Gateway, provider: Patient, keys: Keys, path: str, stream: bool, says: Any
) -> None:
    key = keys.make(max_parallel_requests=1, tpm_limit=1_000_000, max_budget=1_000_000_000_000)
    before = log(served)
    provider.says = says
    client = Client(served, key, path, ASKED[path] | ({"stream": True} if stream else {}))
    until(lambda: provider.asked, SOON, "a request at the provider")
    if says == "token":
        assert b"200 OK" in client.read()
    client.hang_up()
    until(lambda: provider.asked[0].closed, SOON, "the provider's connection to be closed")
    until(lambda: in_flight(served) == 0, SOON, "the slot at the provider to be free")
    (used,) = keys.used(key, 1)
    assert (used.outcome, used.provider, used.estimated) == ("left", "one", True)
    assert used.prompt_tokens == 50
    assert used.cost is not None and used.cost >= 50_000_000
    provider.says = "everything"
    assert keys.ask(key).status_code == 200  # its only slot is free again
    assert len(provider.asked) == 2  # nobody else was asked instead, and nobody twice
    assert "Traceback" not in log(served).removeprefix(before)
    assert log(served).removeprefix(before).count("ERROR") == 0


@pytest.mark.parametrize("said", [{"body": {"timeout": 0.5}}, {"headers": {"x-litellm-timeout": "0.5"}}])
def test_who_gives_up_by_a_time_out_of_its_own_pays_for_the_prompt_too(
    served: Gateway, provider: Patient, keys: Keys, said: dict[str, dict[str, Any]]
) -> None:
    key = keys.make()
    provider.says = "nothing"
    headers = {"authorization": f"Bearer {key}", **said.get("headers", {})}
    answer = httpx.post(
        f"{served.url}/v1/chat/completions", json=CHAT | said.get("body", {}), headers=headers, trust_env=False
    )
    assert answer.status_code == 408, answer.text
    (used,) = keys.used(key, 1)
    assert (used.outcome, used.status, used.prompt_tokens, used.estimated) == ("failed", 408, 50, True)
    assert used.cost is not None and used.cost >= 50_000_000
    assert routes(served)["providers"][0]["errors_in_a_row"] == 0


def test_whoever_sends_an_idempotency_key_is_answered_to_the_end_and_the_retry_gets_that_answer(
    served: Gateway, provider: Patient, keys: Keys
) -> None:
    key = keys.make()
    provider.says = "nothing"
    client = Client(served, key, "/v1/chat/completions", CHAT, "idempotency-key: once")
    until(lambda: provider.asked, SOON, "a request at the provider")
    client.hang_up()
    time.sleep(1)  # longer than anybody would take to cut it off
    assert provider.asked[0].closed is None
    provider.go_on.set()
    answer = Client(served, key, "/v1/chat/completions", CHAT, "idempotency-key: once").read()
    assert answer.startswith(b"HTTP/1.1 200") and b"x-aiops-idempotent-replay: true" in answer
    assert len(provider.asked) == 1
    (used,) = keys.used(key, 1)
    assert (used.outcome, used.prompt_tokens, used.completion_tokens) == ("answered", 10, 4)


def test_clients_that_hang_up_are_no_failure_of_the_provider_and_leave_no_connection(
    served: Gateway, provider: Patient, keys: Keys
) -> None:
    key = keys.make()
    assert keys.ask(key).status_code == 200
    before = routes(served)
    open_before = provider.open
    provider.says = "nothing"
    for number in range(12):
        client = Client(served, key, "/v1/chat/completions", CHAT | {"stream": number % 2 == 1})
        until(lambda seen=number: len(provider.asked) == seen + 2, SOON, "a request at the provider")
        client.hang_up()
        until(lambda: in_flight(served) == 0, SOON, "nothing in flight")
    until(lambda: provider.open <= open_before, SOON, "no connection more than before")
    provider.says = "everything"
    assert keys.ask(key).status_code == 200
    after = routes(served)
    assert after["out_of_turn"] == before["out_of_turn"]
    (one,) = after["providers"]
    assert (one["avoided"], one["failed_ago"], one["errors_in_a_row"]) == (None, None, 0)
    assert sum(each["failed"] for each in after["models"]) == sum(each["failed"] for each in before["models"])
    assert not after["fallbacks"]


def test_who_waits_for_a_slot_and_hangs_up_has_asked_nobody_and_pays_nothing(
    served: Gateway, provider: Patient, keys: Keys
) -> None:
    key = keys.make()
    provider.says = "nothing"
    working = [Client(served, key, "/v1/chat/completions", CHAT) for _ in range(2)]
    until(lambda: len(provider.asked) == 2, SOON, "both slots to be taken")
    for stream in (False, True):
        waiting = Client(served, key, "/v1/chat/completions", CHAT | {"stream": stream})
        time.sleep(0.5)  # until it waits; it may not do anything else
        waiting.hang_up()
    assert [(used.outcome, used.provider, used.prompt_tokens, used.cost) for used in keys.used(key, 2)] == [
        ("left", "", 0, 0)
    ] * 2
    for client in working:
        client.hang_up()
    until(lambda: all(asked.closed for asked in provider.asked), SOON, "both to be closed")
    assert len(provider.asked) == 2
    provider.says = "everything"
    assert keys.ask(key).status_code == 200
