"""Section `clients`: what a request and a piece of a stream cost with each HTTP client that is installed, in turns."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import uvloop

from tests.bench.figures import Figure
from tests.bench.replying import PIECES, replying
from tests.bench.session import Session

BODY = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hello"}]}'
HEADERS = {"content-type": "application/json", "authorization": "Bearer sk-0123456789", "accept": "*/*"}
AT_ONCE = 16
Once = Callable[[str], Awaitable[int]]  # a URL -> how many bytes came


@asynccontextmanager
async def aiops() -> AsyncIterator[Once]:
    from aiops.gateway.worker.lanes.upstream.ask import Ask
    from aiops.gateway.worker.lanes.upstream.client import Upstream

    upstream = Upstream()
    headers = [(name.encode(), value.encode()) for name, value in HEADERS.items()]

    async def once(url: str) -> int:
        asked = Ask(url=url, headers=headers, body=BODY, connect=5, first_byte=60, between=60)
        async with upstream.ask(asked) as answer:
            return sum([len(piece) async for piece in answer.pieces()])

    yield once
    await upstream.close()


@asynccontextmanager
async def aiohttp() -> AsyncIterator[Once]:
    import aiohttp
    from yarl import URL

    timeout = aiohttp.ClientTimeout(connect=5, sock_read=60)
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=4)
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, timeout=timeout
    ) as session:

        async def once(url: str) -> int:
            asked = session.post(URL(url, encoded=True), data=BODY, headers=HEADERS, allow_redirects=False)
            async with asked as answer:
                return sum([len(piece) async for piece in answer.content.iter_any()])

        yield once


def like_httpx(name: str) -> Callable[[], Any]:
    @asynccontextmanager
    async def client() -> AsyncIterator[Once]:
        library = importlib.import_module(name)
        limits = library.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=4)
        async with library.AsyncClient(limits=limits, timeout=60, trust_env=False) as session:

            async def once(url: str) -> int:
                async with session.stream("POST", url, content=BODY, headers=HEADERS) as answer:
                    return sum([len(piece) async for piece in answer.aiter_raw()])

            yield once

    return client


def like_httpcore(name: str) -> Callable[[], Any]:
    @asynccontextmanager
    async def client() -> AsyncIterator[Once]:
        library = importlib.import_module(name)
        async with library.AsyncConnectionPool(max_connections=None, keepalive_expiry=4) as pool:

            async def once(url: str) -> int:
                async with pool.stream("POST", url, content=BODY, headers=HEADERS) as answer:
                    return sum([len(piece) async for piece in answer.aiter_stream()])

            yield once

    return client


@asynccontextmanager
async def niquests() -> AsyncIterator[Once]:
    import niquests

    async with niquests.AsyncSession(pool_maxsize=AT_ONCE) as session:
        session.trust_env = False

        async def once(url: str) -> int:
            answer = await session.post(url, data=BODY, headers=HEADERS, stream=True, allow_redirects=False)
            return sum([len(piece) async for piece in await answer.iter_content(-1)])

        yield once


@asynccontextmanager
async def urllib3() -> AsyncIterator[Once]:
    import urllib3

    pool = urllib3.PoolManager(maxsize=AT_ONCE)
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(AT_ONCE) as threads:

        async def once(url: str) -> int:
            def begin() -> Any:
                return pool.request(
                    "POST", url, body=BODY, headers=HEADERS, preload_content=False, redirect=False, decode_content=False
                )

            answer = await loop.run_in_executor(threads, begin)
            pieces, came = answer.stream(decode_content=False), 0
            while (piece := await loop.run_in_executor(threads, next, pieces, None)) is not None:
                came += len(piece)
            return came

        yield once


@asynccontextmanager
async def pycurl() -> AsyncIterator[Once]:
    """libcurl's ``multi_socket`` in the event loop."""
    import pycurl

    loop, multi = asyncio.get_running_loop(), pycurl.CurlMulti()
    waiting: dict[Any, asyncio.Future[None]] = {}
    timers: list[asyncio.TimerHandle] = []
    watched: set[int] = set()

    def act(descriptor: int, mask: int) -> None:
        multi.socket_action(descriptor, mask)
        while True:
            more, done, failed = multi.info_read()
            for handle in (*done, *(each[0] for each in failed)):
                waiting.pop(handle).set_result(None)
            if not more:
                return

    def on_socket(what: int, descriptor: int, _multi: object, _data: object) -> None:
        if descriptor in watched:
            loop.remove_reader(descriptor)
            loop.remove_writer(descriptor)
            watched.discard(descriptor)
        if what != pycurl.POLL_REMOVE:
            watched.add(descriptor)
            if what & pycurl.POLL_IN:
                loop.add_reader(descriptor, act, descriptor, pycurl.CSELECT_IN)
            if what & pycurl.POLL_OUT:
                loop.add_writer(descriptor, act, descriptor, pycurl.CSELECT_OUT)

    def on_timer(milliseconds: int) -> None:
        for timer in timers:
            timer.cancel()
        timers.clear()
        if milliseconds >= 0:
            timers.append(loop.call_later(milliseconds / 1000, act, pycurl.SOCKET_TIMEOUT, 0))

    multi.setopt(pycurl.M_SOCKETFUNCTION, on_socket)
    multi.setopt(pycurl.M_TIMERFUNCTION, on_timer)
    free: list[Any] = []

    async def once(url: str) -> int:
        handle = free.pop() if free else pycurl.Curl()
        came = 0

        def on_body(piece: bytes) -> None:
            nonlocal came
            came += len(piece)

        for option, value in (
            (pycurl.URL, url),
            (pycurl.POSTFIELDS, BODY),
            (pycurl.HTTPHEADER, [f"{name}: {value}" for name, value in HEADERS.items()]),
            (pycurl.WRITEFUNCTION, on_body),
            (pycurl.CONNECTTIMEOUT, 5),
            (pycurl.MAXAGE_CONN, 4),
            (pycurl.NOSIGNAL, 1),
        ):
            handle.setopt(option, value)
        waiting[handle] = done = loop.create_future()
        multi.add_handle(handle)
        await done
        multi.remove_handle(handle)
        free.append(handle)
        return came

    yield once


@asynccontextmanager
async def httpunk() -> AsyncIterator[Once]:
    from urllib.parse import urlsplit

    import httpunk
    from httpunk.util import connect

    async with AsyncExitStack() as stack:
        free: list[Any] = []

        async def once(url: str) -> int:
            parts = urlsplit(url)
            made = None if free else await connect(f"http://{parts.netloc}", backend=httpunk.Backend.asyncio)
            connection = free.pop() if made is None else await stack.enter_async_context(made)
            length = {"host": parts.netloc, "content-length": str(len(BODY))}
            answer = await connection.request("POST", parts.path, headers={**HEADERS, **length}, body=BODY)
            came = sum([len(piece) async for piece in answer.aiter_bytes()])
            free.append(connection)
            return came

        yield once


@asynccontextmanager
async def pyreqwest() -> AsyncIterator[Once]:
    from pyreqwest.client import ClientBuilder

    async with ClientBuilder().build() as session:

        async def once(url: str) -> int:
            came = 0
            async with session.post(url).headers(HEADERS).body_bytes(BODY).build_streamed() as answer:
                while piece := await answer.body_reader.read_chunk():
                    came += len(piece)
            return came

        yield once


@asynccontextmanager
async def pyqwest() -> AsyncIterator[Once]:
    import pyqwest

    client = pyqwest.Client()

    async def once(url: str) -> int:
        async with client.stream("POST", url, headers=HEADERS, content=BODY) as answer:
            return sum([len(piece) async for piece in answer.content])

    yield once


CLIENTS: dict[str, Callable[[], Any]] = {
    "aiops": aiops,
    "aiohttp": aiohttp,
    "httpunk": httpunk,
    "httpcore": like_httpcore("httpcore"),
    "httpcore2": like_httpcore("httpcore2"),
    "httpx": like_httpx("httpx"),
    "httpx2": like_httpx("httpx2"),
    "niquests": niquests,
    "pycurl": pycurl,
    "pyqwest": pyqwest,
    "pyreqwest": pyreqwest,
    "urllib3": urllib3,
}


def clients(session: Session) -> Iterator[Figure]:
    """Milliseconds of processor time of the client's process, its threads included; the server is another process."""
    installed = [name for name in CLIENTS if name == "aiops" or importlib.util.find_spec(name)]
    if missing := [name for name in CLIENTS if name not in installed]:
        session.say(f"  not installed, so not measured: {', '.join(missing)}")
    with replying() as url, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        costs = runner.run(measure(installed, url, session.rounds(7, 2), session.rounds(1000, 100)))
    for name, (one, burst, single) in costs.items():
        yield figure(f"clients: {name}, a request", one)
        yield figure(f"clients: {name}, a piece of {PIECES} that came together", [b / PIECES for b in burst])
        yield figure(f"clients: {name}, a piece that came alone", [s / PIECES for s in single])


def figure(name: str, seconds: list[float]) -> Figure:
    micro = [each * 1e6 for each in seconds]
    return Figure(name, statistics.median(micro), "µs", detail=f"{min(micro):.3g} to {max(micro):.3g}")


async def measure(names: list[str], url: str, rounds: int, requests: int) -> dict[str, list[list[float]]]:
    costs: dict[str, list[list[float]]] = {name: [[], [], []] for name in names}
    async with AsyncExitStack() as stack:
        once = {name: await stack.enter_async_context(CLIENTS[name]()) for name in names}
        for number in range(rounds + 1):
            for name in names:
                for kind, path in enumerate(("one", "burst", "single")):
                    count = requests if path == "one" else max(AT_ONCE, requests // 20)
                    cost = await cpu(once[name], f"{url}/{path}", count)
                    if number:  # the first round connects and imports
                        costs[name][kind].append(cost)
    return costs


async def cpu(once: Once, url: str, requests: int) -> float:
    """Seconds of processor time for each of ``requests``, ``AT_ONCE`` of them at the same time."""
    left = iter(range(requests))

    async def worker() -> None:
        for _ in left:
            assert await once(url), "an empty answer"

    began = time.process_time()
    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return (time.process_time() - began) / requests


if __name__ == "__main__":
    from tests.bench.figures import table

    with contextlib.ExitStack() as stack:
        print(table(list(clients(Session(False, stack)))))
