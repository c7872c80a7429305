"""The HTTP clients that are compared, each as it would be used to pass answers on."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from tests.bench.clients.asked import AT_ONCE, BODY, HEADERS, Client, Once
from tests.bench.clients.curl import pycurl


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


def like_httpx(name: str) -> Client:
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


def like_httpcore(name: str) -> Client:
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
async def httpunk() -> AsyncIterator[Once]:
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


CLIENTS: dict[str, Client] = {
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
