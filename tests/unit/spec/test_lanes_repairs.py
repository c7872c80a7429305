"""What LiteLLM would put right in a chat is known to be so, and what it would leave is known not to be."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from aiops.spec.lanes.repairs import repaired
from tests.unit.spec.recorder import Recorder
from tests.unit.spec.test_lanes_wire import Asked

KINDS = ("openai_compatible", "vllm", "llama_cpp")
PICTURE = "data:image/png;base64,iVBORw0KGgo="
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def after_a_call(*parts: Any) -> list[dict[str, Any]]:
    return [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c", "content": list(parts)},
    ]


TEXT = {"type": "text", "text": "hello"}
HELLO = [{"role": "user", "content": "hello"}]
LEFT: dict[str, dict[str, Any]] = {
    "a text": {"messages": HELLO},
    "a system message": {"messages": [{"role": "system", "content": "be brief"}, *HELLO]},
    "parts": {"messages": [user(TEXT, {"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}})]},
    "sound": {"messages": [user({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}})]},
    "a video": {"messages": [user({"type": "video_url", "video_url": {"url": "http://h/x.mp4"}})]},
    "tools": {"messages": HELLO, "tools": [TOOL], "tool_choice": "auto"},
    "one tool": {"messages": HELLO, "tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}},
    "an answer of a tool": {"messages": after_a_call(TEXT)},
    "json": {"messages": HELLO, "response_format": {"type": "json_object"}},
    "n": {"messages": HELLO, "n": 2, "logprobs": True, "stop": ["x"]},
    "unknown": {"messages": HELLO, "guided_json": {"type": "object"}},
}
PUT_RIGHT: dict[str, dict[str, Any]] = {
    "a picture as a text": {"messages": [user({"type": "image_url", "image_url": PICTURE})]},
    "a picture with a format": {
        "messages": [user({"type": "image_url", "image_url": {"url": PICTURE, "format": "image/png"}})]
    },
    "a file": {"messages": [user({"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}})]},
    "a part that is cached": {"messages": [user(TEXT | {"cache_control": {"type": "ephemeral"}})]},
    "a message that is cached": {"messages": [HELLO[0] | {"cache_control": {"type": "ephemeral"}}]},
    "a tool that is cached": {"messages": HELLO, "tools": [TOOL | {"cache_control": {"type": "ephemeral"}}]},
    "a picture of a tool": {"messages": after_a_call({"type": "image_url", "image_url": {"url": PICTURE}})},
    "a reference of a tool": {"messages": after_a_call(TEXT, {"type": "tool_reference", "tool_name": "f"})},
    "a use of a tool": {
        "messages": [
            *HELLO,
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]},
        ]
    },
    "thoughts": {
        "messages": [*HELLO, {"role": "assistant", "content": "x", "thinking_blocks": [{"type": "thinking"}]}, *HELLO]
    },
    "a tool of another kind": {"messages": HELLO, "tools": [{"type": "custom", "custom": {"name": "f"}}]},
    "a choice of no tool": {"messages": HELLO, "tool_choice": "auto"},
    "a short choice": {"messages": HELLO, "tools": [TOOL], "tool_choice": {"type": "auto"}},
    "no role": {"messages": [*HELLO, {"content": "hello"}]},
    "thinking": {"messages": HELLO, "thinking": {"type": "enabled", "budget_tokens": 2000}},
}


def sent(asked: Asked, body: dict[str, Any]) -> dict[str, Any] | None:
    return asked.by_litellm(copy.deepcopy(body))


@pytest.fixture(scope="module")
def providers(litellm: Any, recorder: Recorder) -> list[Asked]:
    return [Asked(litellm, recorder, kind, "chat", {}) for kind in KINDS]


@pytest.mark.parametrize("name", LEFT)
def test_what_litellm_leaves_as_it_is_needs_no_repair(providers: list[Asked], name: str) -> None:
    for asked in providers:
        assert sent(asked, LEFT[name]) == LEFT[name] | {"model": "m"}, asked.kind
    assert not repaired(LEFT[name])


@pytest.mark.parametrize("name", PUT_RIGHT)
def test_what_litellm_puts_right_for_somebody_is_left_to_it(providers: list[Asked], name: str) -> None:
    assert any(sent(asked, PUT_RIGHT[name]) not in (None, PUT_RIGHT[name] | {"model": "m"}) for asked in providers)
    assert repaired(PUT_RIGHT[name])


@pytest.mark.parametrize(
    "said", [{}, {"messages": 1}, {"messages": ["x", None]}, {"messages": [user("x")], "tools": 7}]
)
def test_what_is_no_chat_is_no_matter(said: dict[str, Any]) -> None:
    assert not repaired(said)
