"""Which connection the direct lane's client uses, for how long, and what ends it. Real sockets."""

from __future__ import annotations

import asyncio
import gc
import socket
import time
import weakref
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler

from aiops.gateway.worker.lanes.upstream import client as settings
from aiops.gateway.worker.lanes.upstream.answer import Answer
from aiops.gateway.worker.lanes.upstream.ask import Ask
from aiops.gateway.worker.lanes.upstream.client import Upstream
from aiops.gateway.worker.lanes.upstream.connector import Attempt
from aiops.gateway.worker.lanes.upstream.failed import BrokeOff, Refused, TimedOut, UpstreamError
from tests.kit.faulty import CHUNKED, OK, Faulty, Then, chunk, client, faulty, in_worker_loop, until

ASK = Ask(url="", headers=[], body=b"{}", connect=5, first_byte=10)


async def body(upstream: Upstream, server: Faulty, **fields: float) -> bytes:
    async with upstream.ask(replace(ASK, url=server.url, **fields)) as answer:
        return await answer.whole()


@in_worker_loop
async def test_a_connection_is_used_again() -> None:
    async with faulty([OK]) as server:
        upstream = client()
        for _ in range(20):
            await body(upstream, server)
    assert (server.connections, len(server.heard)) == (1, 20)


@pytest.mark.parametrize("end", [b"HTTP/1.1 200 OK\r\nconnection: close\r\n", b"HTTP/1.0 200 OK\r\n"])
@in_worker_loop
async def test_a_connection_that_is_to_end_is_not(end: bytes) -> None:
    async with faulty([end + b"content-length: 2\r\n\r\nok"]) as server:
        upstream = client()
        assert [await body(upstream, server) for _ in range(3)] == [b"ok"] * 3
        await until(lambda: server.gone == 3)
    assert server.connections == 3


@in_worker_loop
async def test_as_many_connections_as_requests() -> None:
    """Limits are the board's."""
    together = asyncio.Barrier(300)
    async with faulty([together.wait, OK]) as server:
        upstream = client()
        async with asyncio.timeout(30):
            assert await asyncio.gather(*(body(upstream, server) for _ in range(300))) == [b"ok"] * 300
        assert server.connections == 300
        await upstream.close()
        await until(lambda: server.gone == 300)


def test_idle_connections_are_dropped_before_the_first_server_drops_them() -> None:
    assert settings.IDLE_SECONDS == 4.0  # uvicorn and llama.cpp: 5 s


@in_worker_loop
async def test_an_idle_connection_is_closed_by_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "IDLE_SECONDS", 0.1)
    async with faulty([OK]) as server:
        upstream = client()
        await body(upstream, server)
        await until(lambda: server.gone == 1)
        await body(upstream, server)
        assert server.connections == 2


@in_worker_loop
async def test_one_that_idled_too_long_is_not_used_even_before_it_is_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "IDLE_SECONDS", 0.1)
    async with faulty([OK]) as server:
        upstream = client()
        await body(upstream, server)
        time.sleep(0.2)  # and the loop has no time to sweep
        await body(upstream, server)
    assert server.connections == 2


@pytest.mark.parametrize("end", [Then.CLOSE, Then.RESET])
@in_worker_loop
async def test_what_the_server_closes_in_the_moment_it_is_used_again_is_asked_once_more(end: Then) -> None:
    """The server takes the request from the connection and closes it without a word: what it does when both cross."""
    async with faulty([OK], [end], [OK]) as server:
        upstream = client()
        await body(upstream, server)
        assert await body(upstream, server) == b"ok"
    assert (server.connections, len(server.heard)) == (2, 3)


@in_worker_loop
async def test_what_is_asked_once_more_is_asked_on_a_connection_of_its_own() -> None:
    """Of a server that went away all kept connections are as dead as the one that was tried."""
    together = asyncio.Barrier(5)
    async with faulty(*[[together.wait, OK]] * 5, [Then.CLOSE], [OK]) as server:
        upstream = client()
        await asyncio.gather(*(body(upstream, server) for _ in range(5)))
        assert await body(upstream, server) == b"ok"
    assert (server.connections, len(server.heard)) == (6, 7)


@in_worker_loop
async def test_a_request_is_asked_once_more_once() -> None:
    async with faulty([OK], [Then.CLOSE]) as server:
        upstream = client()
        await body(upstream, server)
        with pytest.raises(BrokeOff):
            await body(upstream, server)
    assert len(server.heard) == 3


@in_worker_loop
async def test_who_has_worked_on_it_is_not_asked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "CROSSING_SECONDS", 0.05)
    async with faulty([OK], [0.2, Then.CLOSE], [OK]) as server:
        upstream = client()
        await body(upstream, server)
        with pytest.raises(BrokeOff):
            await body(upstream, server)
    assert len(server.heard) == 2


@in_worker_loop
async def test_on_a_fresh_connection_nothing_is_asked_twice() -> None:
    async with faulty([Then.CLOSE]) as server:
        with pytest.raises(BrokeOff):
            await body(client(), server)
    assert len(server.heard) == 1


@pytest.mark.parametrize("byte", [b"H", b"HTTP/1.1 200 OK\r\n"])
@in_worker_loop
async def test_a_byte_of_an_answer_means_that_it_was_read(byte: bytes) -> None:
    async with faulty([OK], [byte, 0.02, Then.CLOSE], [OK]) as server:
        upstream = client()
        await body(upstream, server)
        with pytest.raises(BrokeOff):
            await body(upstream, server)
    assert len(server.heard) == 2


@in_worker_loop
async def test_silence_on_a_used_connection_is_not_asked_again() -> None:
    async with faulty([OK], [Then.HANG], [OK]) as server:
        upstream = client()
        await body(upstream, server)
        with pytest.raises(TimedOut):
            await body(upstream, server, first_byte=0.1)
    assert len(server.heard) == 2


@in_worker_loop
async def test_one_that_the_server_closed_meanwhile_is_not_used() -> None:
    async with faulty([OK, Then.CLOSE]) as server:
        upstream = client()
        for _ in range(3):
            await body(upstream, server)
            await until(lambda: server.gone == server.connections)
    assert (server.connections, len(server.heard)) == (3, 3)


@in_worker_loop
async def test_an_answer_before_the_question_ends_leaves_nothing_behind() -> None:
    """The rest of the body would be taken for the next request, and a server that does not read it would hold us."""
    done = asyncio.Event()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        await done.wait()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    upstream, before = client(), sockets()
    for number in range(3):
        async with upstream.ask(replace(ASK, url=url, body=b"x" * 50_000_000)) as answer:
            assert answer.status == 413
        await until(lambda: sockets() == before + number + 1)  # the server's own  # noqa: B023
    done.set()
    server.close()


@pytest.mark.parametrize("stage", ["head", "pieces", "read"])
@in_worker_loop
async def test_who_is_cancelled_closes_the_connection(stage: str) -> None:
    sent = {"head": b"", "pieces": CHUNKED, "read": CHUNKED + chunk(b"a")}[stage]
    begun = asyncio.Event()

    async def read() -> None:
        async with upstream.ask(replace(ASK, url=server.url)) as answer:
            async for _ in answer.pieces():
                begun.set()

    async with faulty([sent, Then.HANG]) as server:
        upstream = client()
        reading = asyncio.create_task(read())
        await (begun.wait() if stage == "read" else until(lambda: bool(server.heard)))
        await asyncio.sleep(0.05)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await until(lambda: server.gone == 1)


@in_worker_loop
async def test_who_leaves_early_closes_the_connection() -> None:
    async with faulty([CHUNKED + chunk(b"a"), Then.HANG]) as server:
        async with client().ask(replace(ASK, url=server.url)) as answer:
            async for _ in answer.pieces():
                break
        await until(lambda: server.gone == 1)


@in_worker_loop
async def test_who_leaves_without_reading_what_is_complete_keeps_the_connection() -> None:
    async with faulty([OK]) as server:
        upstream = client()
        for _ in range(3):
            async with upstream.ask(replace(ASK, url=server.url)) as answer:
                assert answer.status == 200
    assert server.connections == 1


@in_worker_loop
async def test_who_is_cancelled_while_it_connects_leaves_no_socket() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        with socket.create_connection(listener.getsockname()):
            before = sockets()
            asking = asyncio.create_task(
                client().answer(replace(ASK, url=f"http://127.0.0.1:{listener.getsockname()[1]}/", connect=None))
            )
            await until(lambda: sockets() > before)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await until(lambda: sockets() == before)


@in_worker_loop
async def test_who_is_cancelled_in_the_moment_in_which_it_is_connected_leaves_no_socket() -> None:
    async with faulty([OK]) as server:
        loop, upstream = asyncio.get_running_loop(), client()
        make = loop.create_task

        def create_task(what: Any, **options: Any) -> asyncio.Task[Any]:
            made = make(what, **options)
            if what.__name__ == "_create_connection":
                made.add_done_callback(lambda _: asking.cancel())
            return made

        loop.create_task = create_task  # type: ignore[method-assign]
        asking = make(upstream.answer(replace(ASK, url=server.url)))
        with pytest.raises(asyncio.CancelledError):
            await asking
        await until(lambda: server.gone == 1)
    assert not server.heard


def sockets() -> int:
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # it was closed meanwhile
            found += str(each.readlink()).startswith("socket:")
    return found


@in_worker_loop
async def test_who_reads_slowly_makes_the_provider_wait() -> None:
    piece = b"z" * 1_000_000
    async with faulty([CHUNKED, *[chunk(piece)] * 200, b"0\r\n\r\n"]) as server:
        upstream = client()
        async with upstream.ask(replace(ASK, url=server.url, between=0.3)) as answer:
            pieces = answer.pieces()
            came = len(await anext(pieces))
            written = -1
            while written != server.written:  # until the server cannot go on; longer than `between` allows
                written = server.written
                await asyncio.sleep(0.4)
            assert written < 50_000_000, "the provider was not made to wait"
            held = answer._response.content.total_bytes - came
            assert held <= 2 * settings.HELD + 2**18, "it is held in memory instead"
            came += sum([len(piece) async for piece in pieces])
    assert came == 200_000_000


@in_worker_loop
async def test_a_connection_that_was_made_to_wait_is_used_again() -> None:
    async with faulty([CHUNKED + chunk(b"z" * 400_000) + b"0\r\n\r\n"]) as server:
        upstream = client()
        for _ in range(5):
            async with upstream.ask(replace(ASK, url=server.url)) as answer:
                await asyncio.sleep(0.02)  # it is here, and waits
                assert len(await answer.whole()) == 400_000
    assert server.connections == 1


@in_worker_loop
async def test_a_connection_keeps_nothing_of_the_request_that_made_it() -> None:
    class Belongings:
        pass

    current: ContextVar[Belongings] = ContextVar("current")

    async def first() -> weakref.ref[Belongings]:
        mine = Belongings()
        current.set(mine)
        await body(upstream, server)
        return weakref.ref(mine)

    together = asyncio.Barrier(20)
    async with faulty([together.wait, OK]) as server:
        upstream = client()
        mine = await asyncio.gather(*(asyncio.create_task(first()) for _ in range(20)))
        await asyncio.sleep(0)  # the loop lets go of the timers that were cancelled
        gc.collect()
        assert server.connections == 20
        # The timer that sweeps connections is of the first one that was free.
        assert sum(each() is not None for each in mine) <= 1


@in_worker_loop
async def test_nothing_is_left_of_a_thousand_requests_well_answered_or_not() -> None:
    def alive() -> int:
        gc.collect()
        return sum(isinstance(each, Answer | aiohttp.ClientResponse | ResponseHandler) for each in gc.get_objects())

    before = alive()
    bad = ([Then.CLOSE], [b"nonsense"], [CHUNKED + chunk(b"a"), Then.RESET], [CHUNKED, Then.CLOSE])
    async with faulty(*([OK], *bad) * 200) as server:
        upstream = client()
        failures = 0
        for _ in range(1000):
            try:
                await body(upstream, server)
            except UpstreamError:
                failures += 1
        assert failures > 500
        await upstream.close()
        await until(lambda: server.gone == server.connections)
    assert alive() <= before


@in_worker_loop
async def test_what_is_closed_keeps_no_connection() -> None:
    async with faulty([OK], [CHUNKED + chunk(b"a"), Then.HANG]) as server:
        upstream = client()
        await asyncio.gather(*(body(upstream, server) for _ in range(1)))
        async with upstream.ask(replace(ASK, url=server.url)) as answer:
            pieces = answer.pieces()
            assert await anext(pieces) == b"a"
            await upstream.close()
            with pytest.raises(BrokeOff):  # it does not wait for ever
                await anext(pieces)
        await until(lambda: server.gone == server.connections)


@in_worker_loop
async def test_a_worker_asks_nobody_but_its_providers() -> None:
    from aiops.gateway.worker import egress

    async with faulty([OK]) as server:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, egress.Loop)
        loop.egress = egress.Egress([f"127.0.0.1:{server.port}"])
        assert await body(client(), server) == b"ok"
        loop.egress = egress.Egress([])
        for host in ("127.0.0.1", "localhost"):
            with pytest.raises(Refused, match="no address of an active provider"):
                await client().answer(replace(ASK, url=f"http://{host}:{server.port}/"))
    assert server.connections == 1


@in_worker_loop
async def test_a_request_that_is_over_is_freed_without_the_collector() -> None:
    """A circle would keep all of it, and what its context holds, until gc looks: 4 % of what a request costs."""
    async with faulty([OK]) as server:
        upstream = client()
        await body(upstream, server)
        gc.collect()
        gc.disable()
        try:
            before = _attempts()
            for _ in range(20):
                await asyncio.create_task(body(upstream, server))
            await asyncio.sleep(0)  # the loop lets go of the timers that were cancelled
            assert _attempts() - before <= 1, "but for the one whose timer sweeps connections"
        finally:
            gc.enable()


def _attempts() -> int:
    return sum(isinstance(each, Attempt) for each in gc.get_objects())
