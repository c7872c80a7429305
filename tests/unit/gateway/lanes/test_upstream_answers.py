"""The direct lane's client: what is sent is what was asked, what comes is handed on as it is. Real sockets."""

from __future__ import annotations

import asyncio
import gzip
import socket
from dataclasses import replace
from typing import Any

import pytest

from aiops import __version__
from aiops.gateway.worker import egress
from aiops.gateway.worker.lanes.upstream.answer import Answer
from aiops.gateway.worker.lanes.upstream.ask import Ask
from aiops.gateway.worker.lanes.upstream.failed import Malformed, Refused
from tests.kit.faulty import CHUNKED, OK, Faulty, Then, chunk, chunked, client, faulty, in_worker_loop

ASK = Ask(url="", headers=[(b"content-type", b"application/json")], body=b'{"model":"m"}', connect=5, first_byte=5)


def asking(server: Faulty, **fields: object) -> Ask:
    return replace(ASK, **{"url": server.url, **fields})  # type: ignore[arg-type]


async def whole(server: Faulty, **fields: object) -> tuple[Answer, bytes]:
    async with client().ask(asking(server, **fields)) as answer:
        return answer, await answer.whole()


@in_worker_loop
async def test_the_request_is_what_was_asked_and_says_who_asks() -> None:
    async with faulty([OK]) as server:
        answer, body = await whole(
            server,
            headers=[(b"Authorization", b"Bearer k"), *ASK.headers, (b"X-Odd", b"caf\xe9")],
        )
        assert (answer.status, body) == (200, b"ok")
    head, _, sent = server.heard[0].partition(b"\r\n\r\n")
    assert sent == ASK.body
    line, *headers = head.split(b"\r\n")
    assert line == b"POST /v1/chat/completions HTTP/1.1"
    assert {name.lower(): value for name, value in (each.split(b": ") for each in headers)} == {
        b"host": b"127.0.0.1:%d" % server.port,
        b"accept-encoding": b"identity",
        b"authorization": b"Bearer k",
        b"content-type": b"application/json",
        b"x-odd": "café".encode(),
        b"user-agent": b"aiops/" + __version__.encode(),
        b"content-length": b"13",
    }
    assert len(headers) == 7, "and no `accept` that nobody asked with"
    assert b"Authorization: Bearer k" in headers


@pytest.mark.parametrize("written", ["café", "✓"])
@in_worker_loop
async def test_what_is_no_ascii_is_sent_as_utf_8(written: str) -> None:
    async with faulty([OK]) as server:
        await whole(server, headers=[(b"x-odd", written.encode())])
        if written.encode("latin-1", "replace").decode("latin-1") == written:
            await whole(server, headers=[(b"x-odd", written.encode("latin-1"))])
    assert all(b"x-odd: %b\r\n" % written.encode() in head for head in server.heard)


@in_worker_loop
async def test_how_the_connection_is_used_is_not_for_headers_to_say() -> None:
    theirs = [b"Host", b"Content-Length", b"Transfer-Encoding", b"Connection", b"Expect", b"Accept-Encoding", b"TE"]
    async with faulty([OK]) as server:
        await whole(server, headers=[(name, b"7, chunked, gzip, 100-continue") for name in theirs])
    head = server.heard[0].lower()
    assert b"chunked" not in head and b"100-continue" not in head and b"gzip" not in head
    assert head.count(b"host:") == head.count(b"content-length:") == 1


@in_worker_loop
async def test_an_agent_that_a_provider_wants_is_named_instead() -> None:
    async with faulty([OK]) as server:
        await whole(server, headers=[(b"User-Agent", b"theirs")])
    assert server.heard[0].lower().count(b"user-agent:") == 1
    assert b"User-Agent: theirs\r\n" in server.heard[0]


@pytest.mark.parametrize("bad", [b"a\r\nx-more: 1", b"a\nx-more: 1", b"a\rb", b"a\0b", b"a\r\n\r\nGET / HTTP/1.1"])
@pytest.mark.parametrize("where", ["name", "value"])
@in_worker_loop
async def test_a_header_is_one_line_or_nothing_is_sent(bad: bytes, where: str) -> None:
    async with faulty([OK]) as server:
        with pytest.raises(Refused, match="line break") as refused:
            await whole(server, headers=[(bad, b"v") if where == "name" else (b"authorization", bad)])
        assert "more" not in str(refused.value)
    assert server.connections == 0


@in_worker_loop
async def test_a_url_is_one_word_on_the_wire() -> None:
    async with faulty([OK]) as server:
        await whole(server, url=f"http://127.0.0.1:{server.port}/a b/ü{{}}?x=1 HTTP/1.1\r\nx: y&q=%2F")
    assert server.heard[0].startswith(b"POST /a%20b/%C3%BC%7B%7D?x=1%20HTTP/1.1x:%20y&q=%2F HTTP/1.1\r\nHost: ")


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "http:///v1", "127.0.0.1:8000/v1", "http://127.0.0.1:99999/"])
@in_worker_loop
async def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        await client().answer(replace(ASK, url=url))


@in_worker_loop
async def test_the_sixth_version_of_addresses() -> None:
    async with faulty([OK], host="::1") as server:
        assert (await whole(server))[1] == b"ok"
    assert b"Host: [::1]:%d\r\n" % server.port in server.heard[0]


@in_worker_loop
async def test_a_name_whose_first_address_nobody_listens_at(monkeypatch: pytest.MonkeyPatch) -> None:
    real = egress.Loop.getaddrinfo

    async def look_up(loop: egress.Loop, host: str, port: int, **options: Any) -> Any:
        if host != "two.test":
            return await real(loop, host, port, **options)
        sixth, fourth = ("::1", port, 0, 0), ("127.0.0.1", port)
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", sixth),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", fourth),
        ]

    monkeypatch.setattr(egress.Loop, "getaddrinfo", look_up)
    async with faulty([OK]) as server:
        assert (await whole(server, url=server.url.replace("127.0.0.1", "two.test")))[1] == b"ok"
    assert b"Host: two.test:%d\r\n" % server.port in server.heard[0]


@in_worker_loop
async def test_each_piece_comes_when_it_comes_and_headers_as_they_are() -> None:
    go = asyncio.Event()
    headers = (
        b"HTTP/1.1 200 OK\r\nX-Twice: 1\r\nx-twice: 2\r\nX-Bytes: \xff\xfe\r\nx-empty:\r\ntransfer-encoding: chunked"
    )
    async with (
        faulty([headers + b"\r\n\r\n" + chunk(b"\xff\xfe one"), go.wait, chunk(b"two") + b"0\r\n\r\n"]) as server,
        client().ask(asking(server)) as answer,
    ):
        pieces = answer.pieces()
        assert await anext(pieces) == b"\xff\xfe one"
        go.set()
        assert [piece async for piece in pieces] == [b"two"]
    assert answer.headers == [
        (b"X-Twice", b"1"),
        (b"x-twice", b"2"),
        (b"X-Bytes", b"\xff\xfe"),
        (b"x-empty", b""),
        (b"transfer-encoding", b"chunked"),
    ]


@in_worker_loop
async def test_what_is_packed_is_handed_on_packed() -> None:
    packed = gzip.compress(b"{}")
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed)
    async with faulty([head + packed]) as server:
        answer, body = await whole(server)
    assert body == packed
    assert (b"content-encoding", b"gzip") in answer.headers


@in_worker_loop
async def test_a_page_is_an_answer_like_any_other() -> None:
    async with faulty([b"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\n\r\n<html>", Then.CLOSE]) as server:
        answer, body = await whole(server)
    assert (answer.status, body) == (502, b"<html>")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@in_worker_loop
async def test_nobody_follows_to_elsewhere(status: int) -> None:
    head = b"HTTP/1.1 %d Elsewhere\r\nlocation: /other\r\ncontent-length: 0\r\n\r\n" % status
    async with faulty([head], [OK]) as server:
        answer, _ = await whole(server)
    assert answer.status == status
    assert len(server.heard) == 1


@in_worker_loop
async def test_interim_answers_are_waited_out() -> None:
    interim = b"HTTP/1.1 100 Continue\r\nx-interim: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
    async with faulty([interim, 0.01, interim + OK]) as server:
        answer, body = await whole(server)
    assert (answer.status, answer.headers, body) == (200, [(b"content-length", b"2")], b"ok")


@in_worker_loop
async def test_an_answer_may_last_as_long_as_its_connection() -> None:
    async with faulty([b"HTTP/1.0 200 OK\r\n\r\n", b"one", 0.02, b"two", Then.CLOSE]) as server:
        _, body = await whole(server)
    assert body == b"onetwo"


@in_worker_loop
async def test_a_server_that_ends_its_lines_carelessly() -> None:
    async with faulty([b"HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n2 \r\nok\r\n0\r\n\r\n"]) as server:
        assert (await whole(server))[1] == b"ok"


@pytest.mark.parametrize("status", [204, 304])
@in_worker_loop
async def test_an_answer_without_a_body(status: int) -> None:
    async with faulty([b"HTTP/1.1 %d Nothing\r\n\r\n" % status]) as server:
        answer, body = await whole(server)
    assert (answer.status, body) == (status, b"")


@in_worker_loop
async def test_trailers_are_no_headers() -> None:
    async with faulty([CHUNKED + chunk(b"a") + b"0\r\nx-late: 1\r\n\r\n"]) as server:
        answer, body = await whole(server)
    assert body == b"a"
    assert not [name for name, _ in answer.headers if name == b"x-late"]


@pytest.mark.parametrize("framing", ["one chunk", "its length"])
@in_worker_loop
async def test_an_event_of_ten_megabytes_is_not_held_back(framing: str) -> None:
    half = b"x" * 5_000_000
    go = asyncio.Event()
    chunks = (CHUNKED + b"%x\r\n" % 10_000_000, b"\r\n0\r\n\r\n")
    length = (b"HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\n", b"")
    before, after = chunks if framing == "one chunk" else length
    async with faulty([before, half, go.wait, half, after]) as server, client().ask(asking(server)) as answer:
        came = 0
        async for piece in answer.pieces():
            came += len(piece)
            if came == len(half):  # all of what was sent is here, and the rest is not sent yet
                go.set()
    assert came == 10_000_000


@in_worker_loop
async def test_many_small_chunks_that_come_together_are_one_piece() -> None:
    """They came in one read; nobody waited for any of them."""
    async with faulty([chunked(*[b"data: x\n\n"] * 200)]) as server, client().ask(asking(server)) as answer:
        pieces = [piece async for piece in answer.pieces()]
    assert b"".join(pieces) == b"data: x\n\n" * 200
    assert len(pieces) < 20


@in_worker_loop
async def test_a_body_of_twenty_megabytes_arrives() -> None:
    async with faulty([OK]) as server:
        await whole(server, body=b"y" * 20_000_000)
    assert server.heard[0].endswith(b"y" * 20_000_000)


@in_worker_loop
async def test_what_is_read_whole_has_a_limit() -> None:
    async with faulty([chunked(b"x" * 100_000)]) as server, client().ask(asking(server)) as answer:
        with pytest.raises(Malformed, match="more than 50000 bytes"):
            await answer.whole(50_000)
