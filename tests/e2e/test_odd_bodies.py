"""What LiteLLM answers with a bare 500 because of what its client wrote: by the public port a 400 that names the field.

By a worker's private socket LiteLLM is asked without the front: each case is there, and is really a 500.
"""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.e2e.keys import keys_of
from tests.kit.gateway import Gateway

CHAT, TEXT, ANTHROPIC = "/v1/chat/completions", "/v1/completions", "/v1/messages"
RESPONSES, EMBEDDINGS = "/v1/responses", "/v1/embeddings"
GOOD: dict[str, dict[str, Any]] = {
    CHAT: {"model": "alpha", "messages": [{"role": "user", "content": "hello"}]},
    TEXT: {"model": "alpha", "prompt": "hello"},
    ANTHROPIC: {"model": "alpha", "max_tokens": 4, "messages": [{"role": "user", "content": "hello"}]},
    RESPONSES: {"model": "alpha", "input": "hello"},
    EMBEDDINGS: {"model": "alpha", "input": "hello"},
}
ODD: list[tuple[str, str, Any]] = [
    *((CHAT, "messages", value) for value in (5, True, 1.5)),
    (CHAT, "messages[0].content", [{"role": "user", "content": 5}]),
    *((CHAT, "tools", value) for value in (5, True)),
    *((CHAT, "response_format", value) for value in ("abc", 5, [])),
    *((TEXT, "prompt", value) for value in (5, None, {"a": 1}, [], [None], [{"content": "x"}])),
    *((TEXT, "stream", value) for value in ("abc", 5)),
    *((TEXT, "tools", value) for value in ("abc", 5)),
    (TEXT, "response_format", "abc"),
    *((TEXT, "metadata", value) for value in ("abc", 5, [])),
    *((ANTHROPIC, "messages", value) for value in ("abc", 5, None, {"a": 1}, [], ["x"], [{"content": "x"}])),
    *((ANTHROPIC, "stream", value) for value in ("abc", 5)),
    *((ANTHROPIC, "tools", value) for value in ("abc", 5)),
    *((ANTHROPIC, "tool_choice", value) for value in ("abc", 5)),
    (ANTHROPIC, "response_format", "abc"),
    *((RESPONSES, "input", value) for value in (5, True)),
    (RESPONSES, "tools", 5),
    *((EMBEDDINGS, "metadata", value) for value in ("abc", 5, [])),
    (EMBEDDINGS, "tools", 5),
    (CHAT, "timeout", "abc"),
    *((CHAT, "extra_headers", value) for value in (5, "abc", {"a": 5})),
    *((CHAT, "extra_body", value) for value in (5, "abc")),
    *((CHAT, "additional_drop_params", value) for value in (5, [5])),
]
NO_OBJECT = [(path, body) for path in GOOD for body in (b"[]", b"5", b'"x"', b"null")]


def answers(gateway: Gateway, path: str, body: bytes) -> tuple[int, list[httpx.Response]]:
    """LiteLLM's own status, and what a key and the master key are told."""
    (group,) = [group for group in gateway.status["gateway"]["groups"] if group["role"] == "serving"]
    transport = httpx.HTTPTransport(uds=group["workers"][0]["http"])
    headers = {"content-type": "application/json"}
    with httpx.Client(transport=transport, base_url="http://private") as private:
        alone = private.post(path, content=body, headers=headers | gateway.auth)
    with keys_of(gateway) as keys:
        told = [
            httpx.post(
                gateway.url + path, content=body, headers=headers | {"authorization": f"Bearer {key}"}, trust_env=False
            )
            for key in (gateway.key, keys.make())
        ]
    return alone.status_code, told


def error(answer: httpx.Response) -> dict[str, Any]:
    found = answer.json()["error"]
    assert isinstance(found, dict)
    return found


def test_a_field_that_no_api_takes_is_named_in_a_400_whoever_asks(gateway: Gateway) -> None:
    for path, field, value in ODD:
        name = field.partition("[")[0]
        alone, told = answers(gateway, path, json.dumps({**GOOD[path], name: value}).encode())
        assert alone == 500, f"{path} {field}={value}: LiteLLM says so itself now: {alone}"
        for answer in told:
            assert answer.status_code == 400, f"{path} {field}={value}: {answer.text}"
            assert error(answer)["type"] == "invalid_request_error"
            assert f"`{field}` has to be" in error(answer)["message"]
            if path != ANTHROPIC:
                assert error(answer)["param"] == field


def test_a_body_that_is_no_json_object_is_a_400_whoever_asks(gateway: Gateway) -> None:
    for path, body in NO_OBJECT:
        alone, told = answers(gateway, path, body)
        assert alone == 500, f"{path} {body!r}: LiteLLM says so itself now: {alone}"
        for answer in told:
            assert (answer.status_code, error(answer)["type"]) == (400, "invalid_request_error")
            assert "is not a JSON object" in error(answer)["message"]


def test_a_body_that_is_nested_too_deeply_is_a_400(gateway: Gateway) -> None:
    for depth in (400, 700, 5000):
        nested = b"[" * depth + b"]" * depth
        body = b'{"model": "alpha", "messages": [{"role": "user", "content": ' + nested + b"}]}"
        _, told = answers(gateway, CHAT, body)
        assert {answer.status_code for answer in told} == {400}, depth


@pytest.mark.parametrize("path", GOOD)
def test_what_a_provider_might_take_is_not_refused(gateway: Gateway, path: str) -> None:
    for more in ({"max_tokens": "abc"}, {"n": -1}, {"user": 5}, {"temperature": "hot"}, {"tools": None}, {"zz": [1]}):
        alone, told = answers(gateway, path, json.dumps(GOOD[path] | more).encode())
        assert {answer.status_code for answer in told} == {alone}, f"{path} {more}"
