"""What of LiteLLM's answer goes out, when, and under whose name."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest

from aiops.gateway.worker.board import Board
from aiops.gateway.worker.call import Call, State
from aiops.gateway.worker.first_token import announces
from aiops.gateway.worker.reply import Message, Reply
from aiops.gateway.worker.slots import Slots
from aiops.spec.choosing.rules import ProviderFacts, RoutingTable

PROVIDERS = {"east": ProviderFacts(1, True), "west": ProviderFacts(1, True)}


def event(**delta: Any) -> bytes:
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': delta, 'finish_reason': None}]})}\n\n".encode()


ROLE, WORD = event(role="assistant", content=""), event(content="hello")
BROKEN = b'data: {"error": {"message": "it broke"}}\n\n'


class Client:
    """One request, asked of ``east`` first, and what its client has received."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.board = Board(RoutingTable(providers=PROVIDERS), Slots(1, 2))
        self.call = Call()
        self.call.name = "pool"
        self.board.begin(self.call, "d-east", "east")
        self.reply = Reply(self.call, self.board, self._receive)

    async def _receive(self, message: Message) -> None:
        self.sent.append(message)

    def head(
        self, kind: str = "text/event-stream; charset=utf-8", status: int = 200, *more: tuple[bytes, bytes]
    ) -> None:
        headers = [(b"content-type", kind.encode()), (b"x-litellm-attempted-fallbacks", b"0"), *more]
        asyncio.run(self.reply({"type": "http.response.start", "status": status, "headers": headers}))

    def piece(self, body: bytes, more: bool = True) -> None:
        asyncio.run(self.reply({"type": "http.response.body", "body": body, "more_body": more}))

    def falls_back(self) -> None:
        self.board.failed(self.call, None, "broke off")
        self.board.begin(self.call, "d-west", "west")

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])


def test_the_head_of_a_stream_waits_for_the_first_token() -> None:
    client = Client()
    client.head()
    client.piece(ROLE)
    assert client.sent == []
    assert client.call.state is State.WORKING, "the time to the first token still runs"
    client.piece(WORD)
    assert client.body == ROLE + WORD
    assert client.headers["x-aiops-provider"] == "east"
    assert client.call.state is State.ANSWERING


def test_who_takes_over_before_the_first_token_is_named_and_speaks_alone() -> None:
    client = Client()
    client.head()
    client.piece(ROLE)
    client.falls_back()
    client.piece(ROLE)
    client.piece(WORD)
    assert client.body == ROLE + WORD
    assert client.headers["x-aiops-provider"] == "west"
    assert client.headers["x-litellm-attempted-fallbacks"] == "1"


def test_who_takes_over_after_the_first_token_changes_nothing_that_was_said() -> None:
    client = Client()
    client.head()
    client.piece(WORD)
    client.falls_back()
    client.piece(WORD)
    assert client.body == WORD + WORD
    assert client.headers["x-aiops-provider"] == "east"


def test_after_a_fallback_the_stream_bears_the_name_that_was_asked_for_and_not_the_id_of_a_deployment() -> None:
    client = Client()
    client.head()
    client.falls_back()
    for model in ("d-west", "beta"):
        client.piece(WORD.replace(b"{", f'{{"model":"{model}",'.encode(), 1))
    assert client.body.count(b'"model":"pool"') == client.body.count(b'"model":"beta"') == 1


def test_a_stream_that_ends_without_a_word_goes_out_whole() -> None:
    client = Client()
    client.head()
    client.piece(ROLE)
    client.piece(b"", more=False)
    assert client.body == ROLE
    assert client.sent[-1]["more_body"] is False


@pytest.mark.parametrize("before", [b"", ROLE, WORD])
def test_a_stream_that_says_it_broke_is_a_failure(before: bytes) -> None:
    client = Client()
    client.head()
    if before:
        client.piece(before)
    client.piece(BROKEN)
    assert client.body == before + BROKEN
    assert client.call.state is State.FAILED
    assert client.board.errors == {"east": 1}
    assert client.board.in_flight("east") == 0


def test_what_is_no_stream_goes_out_at_once() -> None:
    client = Client()
    client.head("application/json", 200)
    assert len(client.sent) == 1
    assert client.headers["x-aiops-provider"] == "east"


@pytest.mark.parametrize("packed", [False, True])
def test_an_error_names_what_was_asked_for_and_no_deployment(packed: bool) -> None:
    client = Client()
    ours, another = "0123456789abcdef" * 2, "f" * 32
    client.board.deployments = frozenset({ours})
    body = f'{{"error": {{"message": "model group {ours} failed, {another}"}}}}'.encode()
    sent = gzip.compress(body) if packed else body
    encoding = ((b"content-encoding", b"gzip"),) if packed else ()
    client.head("application/json", 500, (b"content-length", str(len(sent)).encode()), *encoding)
    client.piece(sent, more=False)
    assert json.loads(client.body)["error"]["message"] == f"model group pool failed, {another}"
    assert client.headers["content-length"] == str(len(client.body))
    assert "content-encoding" not in client.headers
    assert client.headers["x-aiops-provider"] == "east"


def test_the_headers_name_what_was_asked_for_and_no_deployment() -> None:
    client = Client()
    client.head("application/json", 200, (b"x-litellm-model-group", b"f" * 32), (b"x-litellm-model-id", b"f" * 32))
    assert client.headers["x-litellm-model-group"] == "pool"
    assert "x-litellm-model-id" not in client.headers


def test_the_address_of_a_provider_stays_here() -> None:
    client = Client()
    client.head(
        "application/json", 200, (b"x-litellm-model-api-base", b"http://10.0.0.7"), (b"llm_provider-server", b"x")
    )
    assert set(client.headers) == {"content-type", "x-litellm-attempted-fallbacks", "x-aiops-provider", "x-aiops-lane"}


@pytest.mark.parametrize(
    ("body", "only_announces"),
    [
        (ROLE, True),
        (ROLE + ROLE, True),
        (b'event: message_start\ndata: {"type": "message_start", "message": {}}\n\n', True),
        (b'event: response.created\ndata: {"type": "response.created"}\n\n', True),
        (WORD, False),
        (ROLE + WORD, False),
        (event(tool_calls=[{"index": 0}]), False),
        (event(reasoning_content="hm"), False),
        (b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n', False),
        (b'data: {"choices": [{"text": "w0 "}]}\n\n', False),
        (b'data: {"choices": [], "usage": {}}\n\n', False),
        (b'event: ping\ndata: {"type": "ping"}\n\n', False),
        (b"data: [DONE]\n\n", False),
        (b"data: 7\n\n", False),
        (b'data: {"type": ["message_start"]}\n\n', False),
        (b'data: {"choices": 7}\n\n', False),
        (b'data: {"choices": {"a": 1}}\n\n', False),
        (b'data: {"choices": ["text"]}\n\n', False),
        (b'data: {"choices": [{"delta": "text"}]}\n\n', False),
        (b": a comment\n\n", False),
        (BROKEN, False),
        (b"", False),
    ],
)
def test_only_what_has_no_token_in_it_is_an_announcement(body: bytes, only_announces: bool) -> None:
    assert announces(body) is only_announces


REFUSED = "this model is limited to 1 request in 60 seconds"


def refused(client: Client, said: str) -> dict[str, Any]:
    client.head("application/json", 429)
    client.piece(json.dumps({"error": {"message": said, "type": "throttling_error"}}).encode(), more=False)
    error = json.loads(client.sent[-1]["body"])["error"]
    assert isinstance(error, dict)
    return error


def test_a_limit_of_ours_is_told_in_our_words_with_the_wait_of_whoever_has_room_first() -> None:
    client = Client()
    client.call.refused, client.call.full, client.call.turned_away = REFUSED, 41.2, 50.0
    error = refused(client, f"litellm.RateLimitError: {REFUSED}; ask again in 60 s\n\nsome advice")
    assert error == {"message": f"{REFUSED}; ask again in 42 s", "type": "rate_limit_error"}
    assert client.headers["retry-after"] == "42"


def test_what_a_provider_said_stays_although_a_limit_of_ours_was_full_too() -> None:
    client = Client()
    client.call.refused, client.call.full = REFUSED, 41.2
    assert refused(client, "Rate limit reached") == {"message": "Rate limit reached", "type": "throttling_error"}
