"""A request that is answered directly: what its provider is sent, and what of the answer is passed on."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Coroutine
from typing import Any

import pytest

from aiops.gateway.worker.call import State
from aiops.gateway.worker.lanes.direct import packing
from aiops.spec.lanes.table import Seconds
from tests.unit.gateway.lanes.lane import chat, chunk, lane, said
from tests.unit.gateway.lanes.server import event, nothing, pieces, server, whole

ROLE, FIRST, SECOND = event(chunk(role="assistant", content="")), event(chunk(content="a")), event(chunk(content="b"))
DONE = b"data: [DONE]\n\n"
LONG = Seconds(connect=60, first_token=60, between_tokens=60)


def run(what: Coroutine[Any, Any, None]) -> None:
    asyncio.run(what)


def renamed(piece: bytes, name: str = "alpha") -> bytes:
    return piece.replace(b"alpha-there", name.encode())


def test_the_body_arrives_byte_for_byte_but_for_the_model() -> None:
    async def act() -> None:
        body = (
            b'{ "messages" : [{"role":"user", "content":"\\u00e9"}], "n":1.0, "model" : "alpha" ,"x":{"model":"alpha"}}'
        )
        async with server(whole(said())) as one, lane(one.url) as place:
            answer = await place.ask(body)
            assert one.asked[0].body == body.replace(b'"model" : "alpha"', b'"model" : "alpha-there"')
            assert one.asked[0].line == "POST /v1/chat/completions HTTP/1.1"
            assert answer.status == 200 and answer.json == said("alpha")
            assert answer.headers["x-aiops-provider"] == "p1"
            assert answer.headers["x-aiops-lane"] == "direct"
            assert answer.headers["x-litellm-model-group"] == "alpha"
            assert answer.headers["x-litellm-attempted-fallbacks"] == "0"
            assert answer.headers["content-length"] == str(len(answer.body))
            assert place.ended is State.ANSWERING
            assert not place.litellm.calls

    run(act())


def test_of_the_providers_headers_only_its_limits_are_handed_on() -> None:
    async def act() -> None:
        more = {"x_ratelimit_remaining_tokens": "7", "set_cookie": "a=b", "server": "secret", "x_served_by": "10.0.0.7"}
        async with server(whole(said(), **more)) as one, lane(one.url) as place:
            answer = await place.ask()
            assert answer.headers["x-ratelimit-remaining-tokens"] == "7"
            assert not {"set-cookie", "server", "x-served-by"} & answer.headers.keys()

    run(act())


def test_no_header_of_the_client_reaches_the_provider() -> None:
    async def act() -> None:
        async with server(whole(said())) as one, lane(one.url) as place:
            await place.ask(headers={"authorization": "Bearer sk-user", "cookie": "a=b", "x-other": "y"})
            assert not {"cookie", "x-other"} & one.asked[0].headers.keys()
            assert one.asked[0].headers["authorization"] == "Bearer none"  # as LiteLLM says it where there is no key
            assert one.asked[0].headers["content-type"] == "application/json"

    run(act())


def test_a_stream_is_passed_on_piece_by_piece_as_it_comes() -> None:
    async def act() -> None:
        go_on = asyncio.Event()
        seen: list[bytes] = []

        async def on_piece(piece: bytes) -> None:
            seen.append(piece)
            if b'"content":"a"' in piece:
                go_on.set()  # the provider says nothing more until the client has this one

        async with server(pieces(ROLE, FIRST, go_on, SECOND, DONE)) as one, lane(one.url) as place:
            answer = await place.ask(chat(stream=True), on_piece=on_piece)
            assert seen == [*map(renamed, (ROLE, FIRST, SECOND, DONE)), b""]
            assert one.asked[0].json["stream_options"] == {"include_usage": True}
            assert answer.headers["content-type"] == "text/event-stream"

    run(act())


@pytest.mark.parametrize(
    "written",
    [
        lambda piece: piece.replace(b"\n", b"\r\n"),
        lambda piece: piece.replace(b"data: ", b"data:"),
        lambda piece: b": a comment\n" + piece,
        lambda piece: b"event: message\nid: 7\n" + piece,
    ],
)
def test_event_streams_are_passed_on_however_they_are_written(written: Any) -> None:
    async def act() -> None:
        stream = [written(piece) for piece in (ROLE, FIRST, SECOND, DONE)]
        async with server(pieces(*stream)) as one, lane(one.url) as place:
            answer = await place.ask(chat(stream=True))
            assert answer.body == renamed(b"".join(stream))

    run(act())


@pytest.mark.parametrize("size", [1, 5, 64])
def test_a_stream_that_is_cut_anywhere_arrives_the_same(size: int) -> None:
    async def act() -> None:
        stream = ROLE + FIRST + SECOND + DONE
        parts = [stream[at : at + size] for at in range(0, len(stream), size)]
        say = pieces(*parts)
        async with server(say) as one, lane(one.url) as place:
            answer = await place.ask(chat(stream=True))
            assert answer.body == renamed(stream)

    run(act())


def test_an_answer_in_one_piece_is_a_stream_for_who_asked_for_one() -> None:
    """Small servers do not stream, whatever they are asked."""

    async def act() -> None:
        call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        message = {"role": "assistant", "content": "ok", "tool_calls": [call]}
        found = {**said(), "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        async with server(whole(found)) as one, lane(one.url) as place:
            answer = await place.ask(chat(stream=True, stream_options={"include_usage": True}))
        assert answer.headers["content-type"] == "text/event-stream"
        first, usage, done, rest = answer.body.split(b"\n\n")
        (choice,) = json.loads(first[6:])["choices"]
        assert choice == {
            "index": 0,
            "finish_reason": "stop",
            "delta": {**message, "tool_calls": [{"index": 0, **call}]},
        }
        assert (json.loads(first[6:])["object"], json.loads(first[6:])["model"]) == ("chat.completion.chunk", "alpha")
        assert (json.loads(usage[6:])["choices"], json.loads(usage[6:])["usage"]) == ([], found["usage"])
        assert (done, rest) == (b"data: [DONE]", b"")

    run(act())


def test_the_model_of_a_first_event_that_comes_in_pieces_is_its_own() -> None:
    """Responses say again what their client wrote, and a piece may end between its model and the answer's."""

    async def act() -> None:
        created = b'data: {"type":"response.created","response":{"metadata":{"model":"mine"},'
        parts = created, b'"model":"alpha-there"}}\n\n', b'data: {"type":"response.output_text.delta","delta":"a"}\n\n'
        async with server(pieces(parts[0], 0.02, parts[1], 0.02, parts[2], DONE)) as one, lane(one.url) as place:
            asked = {"model": "alpha", "input": "x", "stream": True, "store": False}
            answer = await place.ask(asked, "/v1/responses")
            assert answer.body == renamed(b"".join(parts) + DONE)

    run(act())


def test_an_event_of_many_megabytes_passes() -> None:
    async def act() -> None:
        large = event(chunk(content="x" * 10_000_000))
        async with server(pieces(ROLE, large, DONE)) as one, lane(one.url) as place:
            answer = await place.ask(chat(stream=True))
            assert answer.body == renamed(ROLE + large + DONE)

    run(act())


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_comes_packed_is_unpacked(stream: bool) -> None:
    async def act() -> None:
        plain = ROLE + FIRST + DONE if stream else b'{"model":"alpha-there","choices":[]}'
        kind = "text/event-stream" if stream else "application/json"
        say = whole(gzip.compress(plain), content_encoding="gzip", content_type=kind)
        async with server(say) as one, lane(one.url) as place:
            answer = await place.ask(chat(stream=stream))
            assert answer.body == renamed(plain)
            assert "content-encoding" not in answer.headers
            assert one.asked[0].headers["accept-encoding"] == "identity"

    run(act())


def test_a_client_that_leaves_closes_the_connection_to_the_provider_at_once() -> None:
    async def act() -> None:
        halves = ((nothing, False), (nothing, True), (pieces(ROLE, 60.0), True), (pieces(ROLE, FIRST, 60.0), True))
        for say, stream in halves:
            async with server(say) as one, lane(one.url, of={"d1": {"seconds": LONG, "stream_seconds": LONG}}) as place:
                asking = asyncio.create_task(place.ask(chat(stream=stream)))
                while not one.asked:
                    await asyncio.sleep(0.005)
                await asyncio.sleep(0.05)
                asking.cancel()
                await asyncio.wait_for(one.asked[0].closed.wait(), 1.0)
                await asyncio.wait((asking,))
                assert place.in_flight() == 0
                assert not place.board.errors

    run(act())


def test_a_name_that_is_passed_on_is_the_one_that_was_asked_for() -> None:
    async def act() -> None:
        async with server(whole(said("pool"))) as one, lane(one.url, of={"d1": {"model": None}}) as place:
            answer = await place.ask(chat("pool"))
            assert one.asked[0].json["model"] == "pool"
            assert answer.json["model"] == "pool"
            assert answer.headers["x-aiops-rule"] == "exact pool"

    run(act())


def test_speech_is_passed_on_as_it_comes_and_is_no_json() -> None:
    async def act() -> None:
        sound = (b"RIFF\x00", b'\xff"model":"alpha-there"', b"\x00")
        async with server(pieces(*sound, content_type="audio/mpeg")) as one, lane(one.url) as place:
            answer = await place.ask({"model": "alpha", "input": "x", "voice": "y"}, "/v1/audio/speech")
            assert answer.body == b"".join(sound)
            assert answer.headers["content-type"] == "audio/mpeg"
            assert one.asked[0].line == "POST /v1/audio/speech HTTP/1.1"

    run(act())


def test_speech_that_breaks_off_has_no_end() -> None:
    async def act() -> None:
        async with server(pieces(b"RIFF", cut=True, content_type="audio/mpeg")) as one, lane(one.url) as place:
            answer = await place.ask({"model": "alpha", "input": "x", "voice": "y"}, "/v1/audio/speech")
            assert answer.body == b"RIFF" and not answer.ended
            assert place.ended is State.FAILED

    run(act())


@pytest.mark.parametrize("kind", ["text/plain", "application/vnd.api+json", "Application/JSON"])
def test_an_answer_that_is_json_is_called_so_and_what_it_used_is_read(kind: str) -> None:
    async def act() -> None:
        async with server(whole(said(), content_type=kind)) as one, lane(one.url) as place:
            answer = await place.ask()
            assert answer.headers["content-type"] == "application/json"

    run(act())


@pytest.mark.parametrize(("path", "answer"), [("embeddings", {"data": []}), ("rerank", {"results": []})])
def test_who_asks_for_a_stream_where_there_is_none_is_answered_and_nobody_has_failed(path: str, answer: Any) -> None:
    async def act() -> None:
        async with server(whole({"model": "alpha-there", **answer})) as one, lane(one.url) as place:
            found = await place.ask({"model": "alpha", "input": "x", "stream": True}, f"/v1/{path}")
            assert (found.status, found.json) == (200, {"model": "alpha", **answer})
            assert not place.board.errors

    run(act())


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_is_packed_in_parts_is_unpacked_and_one_that_is_cut_short_is_none(stream: bool) -> None:
    async def act() -> None:
        plain = (ROLE, FIRST, DONE) if stream else (b'{"model":"alpha-there",', b'"choices":[]}')
        kind = "text/event-stream" if stream else "application/json"
        packed = b"".join(gzip.compress(part) for part in plain)
        async with (
            server(whole(packed, content_encoding="gzip", content_type=kind)) as one,
            server(whole(packed[:-8], content_encoding="gzip", content_type=kind)) as cut,
            server(whole(packed + b"more", content_encoding="gzip", content_type=kind)) as longer,
            lane(one.url, cut.url, longer.url) as place,
        ):
            answer = await place.ask(chat(stream=stream))
            assert answer.body == renamed(b"".join(plain))
            assert not place.board.errors
            for model in ("beta", "gamma"):
                answer = await place.ask(chat(model=model, stream=stream))
                assert answer.status == (200 if stream else 500)
                assert b'"error"' in answer.body
            assert place.board.errors

    run(act())


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_unpacked_is_never_more_than_is_taken(stream: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "WHOLE", 100_000)
    monkeypatch.setattr(packing, "_PIECE", 10_000)
    longest = 0

    async def note(piece: bytes) -> None:
        nonlocal longest
        longest = max(longest, len(piece))

    async def act() -> None:
        plain = (
            FIRST + b": " + b"x" * 1_000_000 + b"\n\n" + DONE if stream else b'{"choices":[' + b" " * 1_000_000 + b"]}"
        )
        kind = "text/event-stream" if stream else "application/json"
        async with (
            server(whole(gzip.compress(plain), content_encoding="gzip", content_type=kind)) as one,
            lane(one.url) as place,
        ):
            answer = await place.ask(chat(stream=stream), on_piece=note)
            if stream:
                assert answer.body == renamed(plain)
                assert longest <= 11_000
            else:
                assert answer.status == 500

    run(act())


def test_a_stream_is_one_however_its_type_is_spelled_and_however_deep_its_events_are() -> None:
    async def act() -> None:
        deep = b'data: {"x":' + b"[" * 5000 + b"]" * 5000 + b"}\n\n"
        async with server(pieces(deep, FIRST, DONE, content_type="Text/Event-Stream")) as one, lane(one.url) as place:
            answer = await place.ask(chat(stream=True))
            assert answer.headers["content-type"] == "text/event-stream"
            assert answer.body == renamed(deep + FIRST + DONE)

    run(act())
