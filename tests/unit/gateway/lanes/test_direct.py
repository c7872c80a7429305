"""A request that is answered directly: what its provider is sent, and what of the answer is passed on."""

from __future__ import annotations

import asyncio

from tests.unit.gateway.lanes.lane import chat, chunk, lane, said
from tests.unit.gateway.lanes.server import event, pieces, server, whole

ROLE, FIRST, SECOND = event(chunk(role="assistant", content="")), event(chunk(content="a")), event(chunk(content="b"))
DONE = b"data: [DONE]\n\n"


def test_the_body_arrives_byte_for_byte_but_for_the_model() -> None:
    async def run() -> None:
        body = b'{ "messages" : [{"role":"user","content":"\\u00e9 \\"model\\":\\"alpha\\""}], "n":1.0, "model" : "alpha" ,"x":{"model":"alpha"}}'
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

    asyncio.run(run())


def test_a_stream_is_passed_on_piece_by_piece_under_the_name_that_was_asked_for() -> None:
    async def run() -> None:
        go_on = asyncio.Event()
        seen: list[bytes] = []

        async def on_piece(piece: bytes) -> None:
            seen.append(piece)
            if piece.count(b'"content":"a"'):
                go_on.set()

        async with server(pieces(ROLE, FIRST, go_on, SECOND, DONE)) as one, lane(one.url) as place:
            answer = await place.ask(chat(stream=True), on_piece=on_piece)
            assert seen[:-1] == [piece.replace(b"alpha-there", b"alpha") for piece in (ROLE, FIRST, SECOND, DONE)]
            assert one.asked[0].json["stream_options"] == {"include_usage": True}
            assert answer.headers["content-type"] == "text/event-stream"

    asyncio.run(run())
