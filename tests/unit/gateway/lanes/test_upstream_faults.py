"""What goes wrong between the direct lane's client and a provider, each on a real socket: what is raised, and when."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import replace

import pytest

from aiops.gateway.worker.lanes.upstream import pool
from aiops.gateway.worker.lanes.upstream.ask import Ask
from aiops.gateway.worker.lanes.upstream.client import Upstream
from aiops.gateway.worker.lanes.upstream.connection import HEAD_BYTES
from aiops.gateway.worker.lanes.upstream.failed import BrokeOff, Malformed, Refused, Stage, TimedOut, UpstreamError
from tests.kit.faulty import CHUNKED, OK, Faulty, Step, Then, chunk, faulty, in_worker_loop, until

ASK = Ask(url="", headers=[], body=b"{}", connect=5, first_byte=5, between=5)
LONG = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b"


class Asked:
    """One request: the pieces that came, and what was raised after them."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.began = False
        self.error: UpstreamError | None = None

    async def ask(self, upstream: Upstream, ask: Ask) -> Asked:
        try:
            async with upstream.ask(ask) as answer:
                self.began = True
                async for piece in answer.pieces():
                    self.pieces.append(piece)
        except UpstreamError as error:
            self.error = error
        return self


async def ask(server: Faulty, upstream: Upstream | None = None, **seconds: float) -> Asked:
    return await Asked().ask(upstream or Upstream(), replace(ASK, url=server.url, **seconds))


@in_worker_loop
async def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Refused, match=rf"127\.0\.0\.1:{port}.*refused"):
        await Upstream().answer(replace(ASK, url=f"http://127.0.0.1:{port}/"))


@in_worker_loop
async def test_a_name_that_is_no_host() -> None:
    with pytest.raises(Refused, match=r"no connection to nobody\.invalid:80"):
        await Upstream().answer(replace(ASK, url="http://nobody.invalid/"))


@in_worker_loop
async def test_a_name_that_cannot_be_one() -> None:
    with pytest.raises(Refused):
        await Upstream().answer(replace(ASK, url=f"http://{'a' * 64}.test/"))


@in_worker_loop
async def test_nobody_takes_the_connection() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        with socket.create_connection(listener.getsockname()):  # and now its backlog is full
            port = listener.getsockname()[1]
            with pytest.raises(TimedOut, match=r"0\.1 s \(connect\)") as late:
                await Upstream().answer(replace(ASK, url=f"http://127.0.0.1:{port}/", connect=0.1))
    assert late.value.stage is Stage.CONNECT


@pytest.mark.parametrize("silence", [[], [b"HTTP/1.1 200 OK\r\nx-a"], [b"HTTP/1.1 100 Continue\r\n\r\n"]])
@in_worker_loop
async def test_no_head_in_time(silence: list[Step]) -> None:
    async with faulty([*silence, Then.HANG]) as server:
        asked = await ask(server, first_byte=0.1)
        assert isinstance(asked.error, TimedOut) and asked.error.stage is Stage.FIRST_BYTE
        await until(lambda: server.gone == 1)


@in_worker_loop
async def test_a_head_that_drips_has_no_more_time_than_another() -> None:
    async with faulty([b"HTTP/1.1 200 OK\r\n", *[b"x-drip: 1\r\n", 0.02] * 1000]) as server:
        asked = await ask(server, first_byte=0.2)
        assert isinstance(asked.error, TimedOut) and asked.error.stage is Stage.FIRST_BYTE
        await until(lambda: server.gone == 1)


@in_worker_loop
async def test_no_next_piece_in_time() -> None:
    async with faulty([CHUNKED + chunk(b"a"), 0.05, chunk(b"b"), 0.05, chunk(b"c"), Then.HANG]) as server:
        asked = await ask(server, between=0.2)
        assert asked.pieces == [b"a", b"b", b"c"]
        assert isinstance(asked.error, TimedOut) and asked.error.stage is Stage.BETWEEN
        await until(lambda: server.gone == 1)


@in_worker_loop
async def test_many_pieces_may_take_longer_than_one_may() -> None:
    async with faulty([CHUNKED, *[chunk(b"a"), 0.05] * 12, b"0\r\n\r\n"]) as server:
        asked = await ask(server, first_byte=0.3, between=0.3)
    assert asked.error is None
    assert b"".join(asked.pieces) == b"a" * 12


@pytest.mark.parametrize("end", [Then.RESET, Then.CLOSE])
@pytest.mark.parametrize(
    "sent", [b"", b"HTTP/1.1 200 OK\r\nx", LONG % (9, b"short"), CHUNKED + chunk(b"a"), CHUNKED + b"ff\r\npart of"]
)
@in_worker_loop
async def test_it_ends_before_it_is_complete(sent: bytes, end: Then) -> None:
    async with faulty([sent, 0.05, end]) as server:
        asked = await ask(server)
    assert isinstance(asked.error, BrokeOff)
    assert asked.error.began == bool(sent)
    assert asked.began == (b"\r\n\r\n" in sent)
    assert b"".join(asked.pieces) in (b"", b"short", b"a", b"part of")


@in_worker_loop
async def test_a_reset_is_not_the_end_of_an_answer_without_a_length() -> None:
    async with faulty([b"HTTP/1.1 200 OK\r\n\r\nhalf", 0.05, Then.RESET]) as server:
        asked = await ask(server)
    assert isinstance(asked.error, BrokeOff)
    assert asked.pieces == [b"half"]


@pytest.mark.parametrize("more", [b"more", b"\0", OK, b"HTTP/1.1 200 OK\r\n", b"\r\n\r\nHTTP/1.1 200 Stolen\r\n\r\n"])
@in_worker_loop
async def test_more_than_the_length_said_is_nobodys_answer(more: bytes) -> None:
    async with faulty([LONG % (3, b"one" + more)], [LONG % (3, b"two")]) as server:
        upstream = Upstream()
        assert (await ask(server, upstream)).pieces == [b"one"]
        asked = await ask(server, upstream)
    assert (asked.pieces, asked.error) == ([b"two"], None)
    assert server.connections == 2


@in_worker_loop
async def test_what_comes_unasked_is_nobodys_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "IDLE_SECONDS", 1000.0)
    async with faulty([OK, 0.05, b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n"], [OK]) as server:
        upstream = Upstream()
        await ask(server, upstream)
        await until(lambda: server.gone == 1)
        assert (await ask(server, upstream)).pieces == [b"ok"]


NO_HTTP: Sequence[bytes] = (
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"\0\1\2\3",
    b"<html>\r\n\r\n",
    b"HTTP/1.1 abc\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
)


@pytest.mark.parametrize("said", NO_HTTP)
@in_worker_loop
async def test_what_is_no_http(said: bytes) -> None:
    async with faulty([said, Then.HANG]) as server:
        asked = await ask(server)
        assert isinstance(asked.error, Malformed)
        assert not asked.began
        await until(lambda: server.gone == 1)


@pytest.mark.parametrize("bad", [b"zz\r\n", b"-1\r\n", b"fffffffffffffffff\r\n", b"1\r\nab\r\n"])
@in_worker_loop
async def test_a_chunk_that_is_none(bad: bytes) -> None:
    async with faulty([CHUNKED + chunk(b"good"), 0.02, bad, Then.HANG]) as server:
        asked = await ask(server)
        assert b"".join(asked.pieces).startswith(b"good")
        assert isinstance(asked.error, Malformed)
        await until(lambda: server.gone == 1)


@pytest.mark.parametrize(
    "line",
    [b"x-long: " + b"y" * 1_000_000 + b"\r\n", b"x-many: yyyyyyyy\r\n" * 55_000, b"x-long: " + b"y" * 90_000 + b"\r\n"],
)
@in_worker_loop
async def test_headers_that_are_too_long_are_refused_with_the_limit(line: bytes) -> None:
    async with faulty([b"HTTP/1.1 200 OK\r\n" + line + b"content-length: 2\r\n\r\nok", Then.HANG]) as server:
        asked = await ask(server)
        assert isinstance(asked.error, Malformed)
        assert f"more than {HEAD_BYTES} bytes" in str(asked.error)
        await until(lambda: server.gone == 1)


@in_worker_loop
async def test_headers_without_end_are_not_read_to_their_end() -> None:
    async with faulty([b"HTTP/1.1 200 OK\r\n" + b"x-many: yyyyyyyy\r\n" * 3_000_000]) as server:
        assert isinstance((await ask(server)).error, Malformed)
        await until(lambda: server.gone == 1)
        assert server.written < 40_000_000  # what the kernel holds, of 54


@in_worker_loop
async def test_interim_answers_without_end_are_refused() -> None:
    async with faulty([b"HTTP/1.1 100 Continue\r\n\r\n" * 50_000, Then.HANG]) as server:
        assert isinstance((await ask(server)).error, Malformed)


@in_worker_loop
async def test_headers_up_to_the_limit_are_an_answer() -> None:
    long = b"x-long: " + b"y" * (HEAD_BYTES - 200) + b"\r\n"
    async with faulty([b"HTTP/1.1 200 OK\r\n" + long + b"content-length: 200000\r\n\r\n" + b"z" * 200_000]) as server:
        asked = await ask(server)
    assert sum(map(len, asked.pieces)) == 200_000
