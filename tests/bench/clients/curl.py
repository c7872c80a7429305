"""libcurl in the event loop, by its interface ``multi_socket``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.bench.clients.asked import BODY, HEADERS, Once


@asynccontextmanager
async def pycurl() -> AsyncIterator[Once]:
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
