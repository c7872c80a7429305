"""What the direct lane makes of a provider that does not keep to HTTP, or to its promises: the client is answered by
another or told so, and nothing of it is left, nor found in another's answer."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import time

import pytest

from tests.e2e.lanes import answers
from tests.e2e.lanes.asking import ALONE, FALLS_BACK, SHORT, SOON, ask, asking, by, require_error
from tests.e2e.lanes.failures import bytes_of, half_a_body, token
from tests.e2e.lanes.place import SHORT_SECONDS, Place
from tests.e2e.lanes.upstream import Arrived, Peer, Upstream
from tests.kit.waiting import until

MEGABYTE = 1024 * 1024
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


pytestmark = pytest.mark.usefixtures("rest")


# --- its connections --------------------------------------------------------------------------------------------------


def test_a_provider_that_closes_idle_connections_loses_no_request(gateway: Place, provider: Upstream) -> None:
    provider.closes_idle = 0.05
    for number in range(12):
        assert ask(gateway, ALONE, user=f"u{number}").said.endswith(f" for u{number}")
        time.sleep(0.05 + number % 3 * 0.002)  # just when it closes
    assert [each.said["user"] for each in provider.posted] == [f"u{number}" for number in range(12)]


def test_a_provider_that_closes_after_each_answer_loses_no_request(gateway: Place, provider: Upstream) -> None:
    async def script(peer: Peer, arrived: Arrived) -> None:
        await peer.send(answers.answer(arrived.target, arrived.said))  # no word of it
        peer.close()

    provider.script = script
    for number in range(20):
        assert ask(gateway, ALONE, user=f"u{number}").said.endswith(f" for u{number}")
    assert len(provider.posted) == 20


def test_a_provider_that_takes_a_request_and_closes_is_not_asked_again_behind_the_back_of_the_client(
    gateway: Place, provider: Upstream
) -> None:
    """It may have worked on it: whoever wants a retry has `retries`."""

    async def script(peer: Peer, arrived: Arrived) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\n")  # it has begun to answer
        peer.close()

    assert ask(gateway, FALLS_BACK).status == 200  # a connection that is used again
    provider.forget()
    provider.script = script
    assert by(ask(gateway, FALLS_BACK)) == "spare"
    assert len(provider.posted) == 1


# --- how much it says -------------------------------------------------------------------------------------------------


def test_a_body_that_breaks_off_is_answered_by_another(gateway: Place, provider: Upstream) -> None:
    provider.script = half_a_body
    assert by(ask(gateway, FALLS_BACK)) == "spare"
    require_error(ask(gateway, ALONE), 500, 502)


def test_more_than_the_length_that_was_said_is_nobodys_answer(gateway: Place, provider: Upstream) -> None:
    evil = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"not yours"}}]}'
    more = HEAD + b"content-length: %d\r\n\r\n%s" % (len(evil), evil)

    async def script(peer: Peer, arrived: Arrived) -> None:
        await peer.send(answers.answer(arrived.target, arrived.said) + more)

    provider.script = script
    for number in range(6):
        assert ask(gateway, ALONE, user=f"u{number}").said.endswith(f" for u{number}")


def test_an_answer_that_comes_before_it_is_asked_for_is_nobodys(gateway: Place, provider: Upstream) -> None:
    evil = answers.whole({"choices": [{"index": 0, "message": {"role": "assistant", "content": "not yours"}}]})
    go_on, said = asyncio.Event(), threading.Event()

    async def script(peer: Peer, arrived: Arrived) -> None:
        await peer.send(answers.answer(arrived.target, arrived.said))
        await go_on.wait()
        go_on.clear()
        await peer.send(evil)
        said.set()

    async def let_go() -> None:
        go_on.set()

    provider.script = script
    before = provider.opened
    for number in range(6):
        assert ask(gateway, ALONE, user=f"u{number}").said.endswith(f" for u{number}")
        said.clear()
        provider.call(let_go())
        assert said.wait(SOON)
        # Between two requests: whoever had asked already could not know. The worker has read it by then.
        time.sleep(0.2)
        gateway.providers()
    assert provider.opened - before >= 5  # the first one may have been there: none is used again on which it was said


def test_a_stream_that_never_ends_ends_with_its_client(gateway: Place, provider: Upstream) -> None:
    async def script(peer: Peer, arrived: Arrived) -> None:
        await peer.stream(*token(answers.events(arrived.target, arrived.said)), end=False)
        while True:
            await peer.piece(answers.events(arrived.target, arrived.said)[1])
            await asyncio.sleep(0.01)

    provider.script = script
    with asking(gateway, ALONE, stream=True) as client:
        assert b"200 OK" in client.read()
    until(lambda: provider.posted[0].left, SOON, "the connection to the provider to be closed")


def test_a_body_that_never_ends_is_as_long_as_its_client_waits(gateway: Place, provider: Upstream) -> None:
    """Some services send blanks while they think. Whoever waits is let wait, as by LiteLLM's lane."""

    async def script(peer: Peer, arrived: Arrived) -> None:
        await peer.send(HEAD + b"transfer-encoding: chunked\r\n\r\n")
        while True:
            await peer.piece(b" ")
            await asyncio.sleep(SHORT_SECONDS / 20)

    provider.script = script
    with asking(gateway, SHORT):
        until(lambda: provider.posted, SOON, "a request at the provider")
        time.sleep(SHORT_SECONDS * 1.2)
        assert provider.posted[0].left is None
    until(lambda: provider.posted[0].left, SOON, "the connection to the provider to be closed")
    assert gateway.spare.posted == []


def test_a_body_without_measure_is_no_answer(gateway: Place, provider: Upstream) -> None:
    async def script(peer: Peer, arrived: Arrived) -> None:
        await peer.send(HEAD + b"transfer-encoding: chunked\r\n\r\n")
        while True:
            await peer.piece(b" " * 4 * MEGABYTE)

    provider.script = script
    assert by(ask(gateway, FALLS_BACK)) == "spare"
    until(lambda: provider.posted[0].left, SOON, "the connection to the provider to be closed")


def test_blanks_before_an_answer_are_part_of_it(gateway: Place, provider: Upstream) -> None:
    async def script(peer: Peer, arrived: Arrived) -> None:
        await peer.send(HEAD + b"transfer-encoding: chunked\r\n\r\n")
        for _ in range(5):
            await peer.piece(b"\n")
            await asyncio.sleep(0.02)
        await peer.piece(json.dumps(answers.one(arrived.target, arrived.said)).encode())
        await peer.send(b"0\r\n\r\n")

    provider.script = script
    assert ask(gateway, ALONE, user="me").said.endswith(" for me")


def test_a_head_that_drips_is_given_up_in_time(gateway: Place, provider: Upstream) -> None:
    async def script(peer: Peer, arrived: Arrived) -> None:
        for at in answers.answer(arrived.target, arrived.said):
            await peer.send(bytes([at]))
            await asyncio.sleep(SHORT_SECONDS / 20)

    provider.script = script
    assert by(ask(gateway, SHORT)) == "spare"
    until(lambda: provider.posted[0].left, SOON, "the connection to the provider to be closed")


def test_an_endless_head_is_no_answer(gateway: Place, provider: Upstream) -> None:
    async def script(peer: Peer, arrived: Arrived) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\n")
        for number in range(64 * 1024):  # 64 MB, if anybody took it
            await peer.send(b"x-%d: %s\r\n" % (number, b"a" * 1000))

    provider.script = script
    assert by(ask(gateway, FALLS_BACK)) == "spare"
    until(lambda: provider.posted[0].left, SOON, "the connection to the provider to be closed")


def test_headers_of_a_megabyte_are_no_answer(gateway: Place, provider: Upstream) -> None:
    provider.script = bytes_of(HEAD + b"x-much: " + b"a" * MEGABYTE + b"\r\ncontent-length: 2\r\n\r\n{}")
    assert by(ask(gateway, FALLS_BACK)) == "spare"
    require_error(ask(gateway, ALONE), 500, 502)


def test_an_answer_that_comes_before_all_was_asked_is_told(gateway: Place, provider: Upstream) -> None:
    """A server that refuses a large body by its head reads no more of it."""
    refused = json.dumps({"error": {"message": "too much", "type": "x", "param": None, "code": "413"}}).encode()

    provider.reads_bodies = False
    provider.script = bytes_of(
        b"HTTP/1.1 413 Payload Too Large\r\ncontent-type: application/json\r\nconnection: close\r\n"
        b"content-length: %d\r\n\r\n%s" % (len(refused), refused),
        closes=True,
    )
    answer = ask(gateway, ALONE, user="a" * 8 * MEGABYTE)
    assert "too much" in require_error(answer, 413)["message"]


# --- what it says -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"no HTTP at all\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"HTTP/1.1 abc OK\r\ncontent-length: 2\r\n\r\n{}",
        HEAD + b"content-length: -1\r\n\r\n{}",
        HEAD + b"content-length: 2\r\ncontent-length: 20\r\n\r\n{}",
        HEAD + b"content-length: 2x\r\n\r\n{}",
        HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\n{}xx0\r\n\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}",
        HEAD + b"no colon here\r\ncontent-length: 2\r\n\r\n{}",
        HEAD + b"x\x00y: z\r\ncontent-length: 2\r\n\r\n{}",
        b"",
    ],
    ids=lambda data: repr(data[-30:]),
)
def test_what_is_no_http_is_answered_by_another(gateway: Place, provider: Upstream, data: bytes) -> None:
    provider.script = bytes_of(data, closes=True)
    assert by(ask(gateway, FALLS_BACK)) == "spare"
    require_error(ask(gateway, ALONE), 500, 502)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(gateway: Place, provider: Upstream, status: int) -> None:
    async def script(peer: Peer, arrived: Arrived) -> None:
        await peer.answer(b"", f"{status} Elsewhere", location=f"{gateway.spare.url}/v1/chat/completions")

    provider.script = script
    answer = ask(gateway, ALONE)
    require_error(answer, status, 500, 502)
    assert gateway.spare.posted == []
    assert answer.header("location") is None
    assert by(ask(gateway, FALLS_BACK)) == "spare"
    assert [each.header("authorization") for each in gateway.spare.posted] != [
        provider.posted[0].header("authorization")
    ]


def test_interim_answers_are_no_answers(gateway: Place, provider: Upstream) -> None:
    async def script(peer: Peer, arrived: Arrived) -> None:
        await peer.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
        await peer.send(answers.answer(arrived.target, arrived.said))

    provider.script = script
    assert ask(gateway, ALONE, user="me").said.endswith(" for me")


def test_an_answer_that_ends_with_its_connection_is_whole(gateway: Place, provider: Upstream) -> None:
    async def script(peer: Peer, arrived: Arrived) -> None:
        body = answers.answer(arrived.target, arrived.said).partition(b"\r\n\r\n")[2]
        await peer.send(b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n" + body)
        peer.close()

    provider.script = script
    assert ask(gateway, ALONE, user="me").said.endswith(" for me")


def test_trailers_and_extensions_of_chunks_are_read_over(gateway: Place, provider: Upstream) -> None:
    async def script(peer: Peer, arrived: Arrived) -> None:
        body = answers.answer(arrived.target, arrived.said).partition(b"\r\n\r\n")[2]
        await peer.send(HEAD + b"trailer: x-t\r\ntransfer-encoding: chunked\r\n\r\n")
        await peer.send(b"%x;a=b\r\n%s\r\n0\r\nx-t: 1\r\n\r\n" % (len(body), body))

    provider.script = script
    answer = ask(gateway, ALONE, user="me")
    assert answer.said.endswith(" for me")
    assert answer.header("x-t") is None


def test_gzip_that_nobody_asked_for_is_still_an_answer(gateway: Place, provider: Upstream) -> None:
    async def script(peer: Peer, arrived: Arrived) -> None:
        body = gzip.compress(json.dumps(answers.one(arrived.target, arrived.said)).encode())
        await peer.answer(body, content_encoding="gzip")

    provider.script = script
    key = gateway.keys.make()
    answer = ask(gateway, ALONE, ("x-api-key", key), user="me")
    assert answer.said.endswith(" for me")
    assert "gzip" not in (provider.posted[0].header("accept-encoding") or "")
