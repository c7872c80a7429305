"""Whose fault it is that a deployment did not answer: only what is the provider's is held against it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from aiops.gateway.worker.board import CALLERS_FAULT

failure = pytest.importorskip("aiops.gateway.worker.failure", reason="needs LiteLLM")
litellm = pytest.importorskip("litellm")

NOBODY = "http://127.0.0.1:9"  # nothing listens there
STUMBLES: list[dict[str, Any]] = [
    {"timeout": "abc"},
    {"extra_headers": 5},
    {"extra_headers": {"x": 5}},
    {"extra_body": "abc"},
    {"additional_drop_params": 5},
]


def raised(model: str = "openai/x", **more: Any) -> Exception:
    """What LiteLLM really raises."""
    said = [{"role": "user", "content": "x"}]
    asked = litellm.acompletion(model=model, api_base=NOBODY, api_key="k", messages=said, max_retries=0, **more)
    with pytest.raises(Exception) as found:
        asyncio.run(asked)
    return found.value


def caused_by(cause: BaseException) -> Exception:
    """As LiteLLM says whatever it has no class for."""
    try:
        try:
            raise cause
        except BaseException:
            raise litellm.APIConnectionError(message="x", llm_provider="ollama", model="m")  # noqa: B904
    except litellm.APIConnectionError as error:
        return error  # type: ignore[no-any-return]


@pytest.mark.parametrize("more", STUMBLES, ids=json.dumps)
def test_what_litellm_stumbles_over_is_not_the_providers_fault(more: dict[str, Any]) -> None:
    status, said = failure.of(raised(**more))
    assert status in CALLERS_FAULT
    assert said == "cannot be asked this"


@pytest.mark.parametrize("model", ["openai/x", "ollama_chat/x", "hosted_vllm/x"])
def test_where_nobody_is_there_it_is(model: str) -> None:
    status, _ = failure.of(raised(model))
    assert status not in CALLERS_FAULT


@pytest.mark.parametrize(
    "cause", [httpx.ReadError("x"), httpx.RemoteProtocolError("x"), httpx.ReadTimeout("x"), ConnectionResetError()]
)
def test_a_lost_connection_is(cause: Exception) -> None:
    assert failure.of(caused_by(cause)) == (None, "no connection")


def test_a_header_that_cannot_be_sent_is_not() -> None:
    assert failure.of(caused_by(httpx.LocalProtocolError("Illegal header value")))[0] in CALLERS_FAULT


@pytest.mark.parametrize("status", [400, 500])
def test_an_answer_that_litellm_calls_a_lost_connection_is_what_it_said(status: int) -> None:
    request = httpx.Request("POST", NOBODY)
    said = httpx.HTTPStatusError("x", request=request, response=httpx.Response(status, request=request))
    assert failure.of(caused_by(said)) == (status, f"HTTP {status}")


def test_a_500_of_the_provider_is_its_own() -> None:
    error = litellm.InternalServerError(message="x", llm_provider="openai", model="m")
    assert failure.of(error) == (500, "HTTP 500")
