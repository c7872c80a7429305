"""What the direct lane passes on of what a provider says: byte for byte, at once, and no more than its client reads."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from tests.e2e.lanes import answers
from tests.e2e.lanes.asking import ALONE, FALLS_BACK, SOON, ask, asking, by, require_error, resident
from tests.e2e.lanes.failures import ERROR_EVENT, bytes_of, role, token
from tests.e2e.lanes.place import Place
from tests.e2e.lanes.upstream import Arrived, Peer, Script, Upstream
from tests.e2e.lanes.wire import Answer
from tests.kit.waiting import until

MEGABYTE = 1024 * 1024
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
NAMED = {"created": 1, "object": "chat.completion.chunk", "id": "chatcmpl-1"}

pytestmark = pytest.mark.usefixtures("rest")


def event(text: str | None = None, **more: object) -> bytes:
    """With the name asked for, so that nothing of it is changed on its way."""
    delta = {"role": "assistant", "content": text}
    choices = [{"index": 0, "delta": delta, "finish_reason": None}]
    return json.dumps({**NAMED, "model": ALONE, "choices": choices, **more}, ensure_ascii=False).encode()


def streaming(*pieces: bytes) -> Script:
    async def script(peer: Peer, arrived: Arrived) -> None:
        await peer.stream(*pieces)

    return script


def stream(gateway: Place, *, usage: bool = True) -> Answer:
    options = {"include_usage": True} if usage else None
    return ask(gateway, ALONE, stream=True, stream_options=options)


NO_UTF8 = b"caf\xe9\xff"


def test_bytes_that_are_no_utf8_come_as_they_are_in_a_stream(gateway: Place, provider: Upstream) -> None:
    said = b"data: " + event("@").replace(b"@", NO_UTF8) + b"\n\n"
    provider.script = streaming(said, answers.DONE)
    for usage in (True, False):
        assert stream(gateway, usage=usage).body == said + answers.DONE


def test_bytes_that_are_no_utf8_are_no_json_and_no_answer(gateway: Place, provider: Upstream) -> None:
    said = event("@").replace(b"@", NO_UTF8)
    provider.script = bytes_of(HEAD + b"content-length: %d\r\n\r\n%s" % (len(said), said))
    assert by(ask(gateway, FALLS_BACK)) == "spare"
    require_error(ask(gateway, ALONE), 500, 502)


def test_an_event_of_ten_megabytes_comes_byte_for_byte(gateway: Place, provider: Upstream) -> None:
    said = b"data: " + event("a" * 10 * MEGABYTE) + b"\n\n"
    provider.script = streaming(*(said[at : at + 65536] for at in range(0, len(said), 65536)), answers.DONE)
    for usage in (True, False):
        assert stream(gateway, usage=usage).body == said + answers.DONE


FRAMED = {
    "comments": b": keep-alive\n\ndata: %s\n\n: again\n\ndata: [DONE]\n\n",
    "CRLF": b"data: %s\r\n\r\ndata: [DONE]\r\n\r\n",
    "CR": b"data: %s\r\rdata: [DONE]\r\r",
    "no space": b"data:%s\n\ndata:[DONE]\n\n",
    "events and ids": b"id: 1\nevent: x\nretry: 5\ndata: %s\n\ndata: [DONE]\n\n",
    "a mark before it": b"\xef\xbb\xbfdata: %s\n\ndata: [DONE]\n\n",
    "blank lines": b"\n\n\ndata: %s\n\n\n\ndata: [DONE]\n\n\n",
    "no end of the last": b"data: %s\n\ndata: [DONE]",
    "an unknown event": b'data: %s\n\ndata: {"anything": true}\n\ndata: 5\n\ndata: no JSON\n\ndata: [DONE]\n\n',
}


@pytest.mark.parametrize("pieces", [1, 7, 1 << 20], ids=["by bytes", "by sevens", "at once"])
@pytest.mark.parametrize("name", FRAMED)
def test_a_stream_comes_byte_for_byte_however_it_is_framed(
    gateway: Place, provider: Upstream, name: str, pieces: int
) -> None:
    said = FRAMED[name] % event("hello")
    provider.script = streaming(*(said[at : at + pieces] for at in range(0, len(said), pieces)))
    for usage in (True, False):
        answer = stream(gateway, usage=usage)
        assert answer.status == 200 and answer.whole
        assert answer.body == said


@pytest.mark.parametrize("pieces", [1, 7, 1 << 20], ids=["by bytes", "by sevens", "at once"])
@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"], ids=["LF", "CRLF"])
def test_the_usage_that_nobody_asked_for_is_taken_out_and_nothing_else(
    gateway: Place, provider: Upstream, end: bytes, pieces: int
) -> None:
    usage = b"data:" + json.dumps({**NAMED, "model": ALONE, "choices": [], "usage": answers.USAGE}).encode() + end
    before, after = b"data: " + event("hello") + end, b"data: [DONE]" + end
    said = before + usage + after
    provider.script = streaming(*(said[at : at + pieces] for at in range(0, len(said), pieces)))
    assert stream(gateway, usage=False).body == before + after
    assert stream(gateway, usage=True).body == said
    assert all(each.said["stream_options"]["include_usage"] is True for each in provider.posted)


def test_the_name_that_was_asked_for_is_in_each_piece(gateway: Place, provider: Upstream) -> None:
    answer = ask(gateway, ALONE, stream=True)
    assert {json.loads(each)["model"] for each in answer.events[:-1]} == {ALONE}
    assert ask(gateway, ALONE).json["model"] == ALONE


def test_a_model_that_speaks_of_its_name_is_not_corrected(gateway: Place, provider: Upstream) -> None:
    words = '"model":"chat-d-2026-01", \\"model\\": \\"chat-d-2026-01\\"'
    provider.script = streaming(b"data: " + event(words) + b"\n\n", answers.DONE)
    assert stream(gateway).said == words


def test_an_error_in_a_stream_before_a_word_is_answered_by_another(gateway: Place, provider: Upstream) -> None:
    async def script(peer: Peer, arrived: Arrived) -> None:
        await peer.stream(*role(answers.events(arrived.target, arrived.said)), ERROR_EVENT, answers.DONE)

    provider.script = script
    answer = ask(gateway, FALLS_BACK, stream=True)
    assert (by(answer), "fell over" in answer.body.decode()) == ("spare", False)


def test_an_error_in_a_stream_after_a_word_is_told_and_counted(gateway: Place, provider: Upstream) -> None:
    async def script(peer: Peer, arrived: Arrived) -> None:
        await peer.stream(*token(answers.events(arrived.target, arrived.said)), ERROR_EVENT, answers.DONE)

    provider.script = script
    key = gateway.keys.make()
    answer = ask(gateway, ALONE, ("x-api-key", key), stream=True)
    assert "the model fell over" in answer.body.decode()


# --- how fast ---------------------------------------------------------------------------------------------------------


def test_no_piece_waits_for_the_next(gateway: Place, provider: Upstream) -> None:
    """Each is sent when the one before has been read by the client."""
    go_on = asyncio.Event()

    async def script(peer: Peer, arrived: Arrived) -> None:
        await peer.stream(b"data: " + event("0") + b"\n\n", end=False)
        for number in range(1, 20):
            await go_on.wait()
            go_on.clear()
            await peer.piece(b"data: " + event(str(number)) + b"\n\n")
        await peer.piece(answers.DONE)
        await peer.send(b"0\r\n\r\n")

    async def let_go() -> None:
        go_on.set()

    provider.script = script
    with asking(gateway, ALONE, stream=True, stream_options={"include_usage": True}) as client:
        read = b""
        for number in range(20):
            while f'"content": "{number}"'.encode() not in read:
                piece = client.read()
                assert piece
                read += piece
            provider.call(let_go())
        while b"[DONE]" not in read:
            read += client.read()


def test_who_does_not_read_fills_no_memory(gateway: Place, provider: Upstream) -> None:
    """The provider is let wait."""
    sent = 0

    async def script(peer: Peer, arrived: Arrived) -> None:
        nonlocal sent
        await peer.stream(end=False)
        piece = b"data: " + event("a" * 65000) + b"\n\n"
        while True:
            await peer.piece(piece)
            sent += len(piece)

    provider.script = script
    (worker,) = gateway.gateway.workers()
    with asking(gateway, ALONE, stream=True) as client:
        assert b"200 OK" in client.read(1024)
        before = resident(worker)
        last = -1
        while sent != last:  # until it is not let send any more
            last = sent
            time.sleep(0.3)
        assert resident(worker) - before < 16 * MEGABYTE
    until(lambda: provider.posted[0].left, SOON, "the connection to the provider to be closed")
    assert sent < 64 * MEGABYTE
