"""What no API takes is named, and nothing else is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aiops.gateway.worker import patience
from aiops.gateway.worker.front.invalid import Invalid, check
from tests.unit.gateway.front.place import MASTER, Place, chat, identity
from tests.unit.gateway.front.test_front import ask

FINE: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", chat()),
    ("/v1/chat/completions", {}),
    ("/v1/chat/completions", chat(messages=None)),
    ("/v1/chat/completions", chat(messages=[])),
    ("/v1/chat/completions", chat(messages=[{"role": "user", "content": [{"type": "text", "text": "x"}]}, {"a": 1}])),
    ("/v1/chat/completions", chat(messages=[{"role": "assistant", "content": None}], stream="yes", tools=[], n=-1)),
    ("/v1/chat/completions", chat(tools=None, response_format={"type": "json_object"}, metadata="x", max_tokens="x")),
    ("/v1/completions", {"prompt": "x", "stream": False, "metadata": None}),
    ("/v1/completions", {"prompt": ["x"]}),
    ("/v1/completions", {"prompt": [1, 2]}),
    ("/engines/a/completions", {"prompt": [[1, 2], [3]]}),
    ("/v1/completions", {}),
    ("/v1/messages", {"messages": [{"role": "user", "content": "x"}], "tool_choice": {"type": "auto"}}),
    ("/v1/messages", {}),
    ("/v1/responses", {"input": [{"role": "user"}], "stream": "x", "metadata": "x"}),
    ("/v1/embeddings", {"input": 5, "response_format": "x"}),
    ("/v1/rerank", {"tools": 5, "metadata": 5, "stream": 5}),
    ("/v1/rerank", {"timeout": 0.5, "request_timeout": 5, "stream_timeout": None, "extra_headers": {"a": "b"}}),
    ("/v1/chat/completions", chat(extra_headers={}, extra_body={"a": 5}, additional_drop_params=["n"], timeout=None)),
]
ODD: list[tuple[str, Any]] = [
    *((name, value) for name in patience.FIELDS for value in (0, -1, "abc", "5", True, [1], {"a": 1}, 10**400)),
    *(("extra_headers", value) for value in (5, "abc", [], {"a": 5}, {"a": None}, {"a": ["b"]})),
    *(("extra_body", value) for value in (5, "abc", [])),
    *(("additional_drop_params", value) for value in (5, "abc", {"a": 1}, [5])),
]


@pytest.mark.parametrize(("path", "said"), FINE)
def test_what_a_provider_might_take_is_its_own_to_judge(path: str, said: dict[str, Any]) -> None:
    check(path, said)


@pytest.mark.parametrize(("field", "value"), ODD)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/embeddings", "/v1/rerank"])
def test_what_litellm_itself_goes_by_is_looked_at_everywhere(path: str, field: str, value: object) -> None:
    with pytest.raises(Invalid) as found:
        check(path, {field: value})
    assert found.value.param == field


@pytest.mark.parametrize("key", [None, MASTER])
@pytest.mark.parametrize("name", ["X-LiteLLM-Timeout", "x-litellm-stream-timeout"])
def test_a_header_that_is_no_time_is_named(tmp_path: Path, name: str, key: str | None) -> None:
    place = Place(tmp_path, identity())
    more = {} if key is None else {"key": key}
    for value in ("abc", "-1", "0", "nan", "inf", ""):
        found = ask(place, body=chat(), headers={name: value}, **more)
        assert (found.status, found.error["param"]) == (400, name.lower())
    assert not place.app.seen
    assert ask(place, body=chat(), headers={name: "0.5"}, **more).status == 200


@pytest.mark.parametrize("path", ["/chat/completions", "/openai/deployments/alpha/chat/completions"])
def test_all_that_is_wrong_is_named_and_the_first_is_the_param(path: str) -> None:
    with pytest.raises(Invalid) as found:
        check(path, {"messages": "x", "tools": 5})
    assert str(found.value) == "`messages` has to be a list of objects. `tools` has to be a list."
    assert found.value.param == "messages"


@pytest.mark.parametrize("key", [None, MASTER])
def test_it_is_refused_before_anybody_is_asked_or_anything_counted(tmp_path: Path, key: str | None) -> None:
    place = Place(tmp_path, identity())
    more = {} if key is None else {"key": key}
    for body in (chat(messages=5), b"[1]", b'{"model":"alpha","messages":[' + b"[" * 5000 + b"]" * 5001 + b"}"):
        found = ask(place, body=body, **more)
        assert (found.status, found.error["type"], found.error["code"]) == (400, "invalid_request_error", "400")
    assert ask(place, body=chat(messages=5), **more).error["param"] == "messages"
    assert not place.app.seen
    assert not place.records.accepted_


def test_a_form_is_litellms_to_read(tmp_path: Path) -> None:
    place = Place(tmp_path, identity())
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert ask(place, body=b"model=alpha&messages=5", headers=kind).status == 200
