"""The client and the provider of the measurements see what is cut, count what has come, and wait for nobody."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest

from tests.bench.figures import Figure
from tests.bench.lanes import contenders, load, page, wire
from tests.bench.lanes.load import Answers

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENTS = b'data: {"a":1}\n\ndata: {"a":2}\n\n'
DONE = b"data: [DONE]\n\n"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def answered(*pieces: bytes, pause: float = 0.0) -> Answers:
    """One request, to a server that says these pieces and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        writer.close()

    async def test() -> Answers:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            return await load.saturate(server.sockets[0].getsockname()[1], wire.request((), "hi"), 1, 0)

    return load.run(test())


@pytest.fixture
def upstream() -> Iterator[int]:
    with contextlib.ExitStack() as stack:
        yield contenders.upstream(stack)


def in_bytes(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


@pytest.mark.parametrize(
    ("pieces", "events"),
    [
        ([WHOLE], 0),
        (in_bytes(WHOLE), 0),
        ([HEAD, chunk(EVENTS), chunk(DONE), b"0\r\n\r\n"], 2),
        ([HEAD + chunk(EVENTS + DONE) + b"0\r\n\r\n"], 2),
        (in_bytes(HEAD + chunk(EVENTS + DONE) + b"0\r\n\r\n"), 2),
    ],
)
def test_what_is_whole_counts_however_it_was_cut_on_its_way(pieces: list[bytes], events: int) -> None:
    [answer] = answered(*pieces, pause=0.0005).all
    assert (answer.ok, answer.events) == (True, events)
    assert answer.began < answer.first <= answer.ended


@pytest.mark.parametrize(
    "said",
    [
        WHOLE[:-1],
        HEAD + chunk(EVENTS),
        HEAD + chunk(EVENTS) + b"0\r\n\r\n",
        b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n",
        b"",
    ],
    ids=["cut", "a stream that is cut", "a stream without its last word", "an error", "nothing"],
)
def test_what_is_cut_or_refused_does_not_count(said: bytes) -> None:
    answers = answered(said)
    assert (answers.failed, answers.good, answers.rate) == (1, [], 0.0)


def test_the_provider_answers_as_it_is_asked_to(upstream: int) -> None:
    whole = load.run(load.saturate(upstream, wire.request((), "hi"), 3, 0.05))
    assert whole.failed == 0
    assert len(whole.all) >= 3
    streams = load.run(
        load.saturate(upstream, wire.request((), wire.prompt(50, 20, 0), stream=True), 2, 0.0),
    )
    assert [(each.ok, each.events) for each in streams.all] == [(True, 51)] * 2  # and why it stopped


def test_requests_go_out_at_the_rate_that_is_wanted_and_are_late_from_when_they_were_due(upstream: int) -> None:
    asked = load.run(load.at_rate(upstream, wire.request((), "hi"), 200, 0.5))
    assert (len(asked.all), asked.failed) == (100, 0)
    due = sorted(each.began for each in asked.all)
    assert due[-1] - due[0] == pytest.approx(99 / 200)


def test_streams_are_looked_at_once_all_of_them_have_begun(upstream: int) -> None:
    looked: list[float] = []
    asked = wire.request((), wire.prompt(30, 1, 20_000), stream=True)
    answers = load.run(load.together(upstream, asked, 20, lambda: looked.append(time.perf_counter())))
    assert [(each.ok, each.events) for each in answers.all] == [(True, 31)] * 20
    [at] = looked
    assert all(each.first <= at for each in answers.all)


def test_what_is_started_on_a_core_stays_there_and_we_do_not() -> None:
    cores = os.sched_getaffinity(0)
    with contenders.on_core(max(cores)):
        said = subprocess.run(["nproc"], capture_output=True, text=True, check=True).stdout
    assert said == "1\n"
    assert os.sched_getaffinity(0) == cores


def test_a_run_is_a_table_of_contenders_and_one_of_promises() -> None:
    figures = [
        Figure("lanes: requests, aiops, direct", 1234.5, "req/s"),
        Figure("lanes: requests, stock litellm", 38.2, "req/s"),
        Figure("lanes: requests, CPU for one, stock litellm", 8000, "µs"),
        Figure("lanes: requests, direct, times stock litellm", 32.3, "x", 30, at_least=True),
        Figure("lanes: cold start", 1.5, "s", 1.0),
        Figure("memory: not of this section", 1.0, "MB"),
    ]
    assert list(page.tables([json.loads(json.dumps(figure.as_dict())) for figure in figures])) == [
        "|  | aiops, direct | stock litellm |",
        "| --- | --- | --- |",
        "| requests, req/s | 1,234 | 38.2 |",
        "| requests, CPU for one, µs |  | 8,000 |",
        "",
        "| figure | value | promised |  |",
        "| --- | --- | --- | --- |",
        "| requests, direct, times stock litellm | 32.3 x | ≥ 30 x | kept |",
        "| cold start | 1.5 s | ≤ 1 s | **missed** |",
    ]
