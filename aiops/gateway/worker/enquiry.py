"""Servers are asked how busy they are, beside the requests: no request waits for it, or reads what they say."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import random
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

from aiops.gateway.worker.hearsay import Hearsay
from aiops.spec.choosing import said
from aiops.spec.choosing.rules import Figures, RoutingTable
from aiops.spec.choosing.said import Said

if TYPE_CHECKING:
    import httpx

log = logging.getLogger("aiops.routing")
EVERY = 0.5  # seconds, up to a fifth less, so that workers and gateways do not ask at the same moment
AWAY = 2.0  # one that does not answer is asked again so much later
SILENT = 60.0  # one that answers, but does not say it
PATIENCE = 2.0  # seconds for an answer: llama.cpp gives one between two batches of a prompt
MOST = 4 << 20  # bytes of an answer
NOT_IMPLEMENTED = 501  # llama.cpp without --metrics, or with --no-slots


class NothingSaid(Exception):
    """It answers, but does not say how busy it is: there is no such page, or not for us."""


def keep_asking(table: RoutingTable, hearsay: Hearsay) -> list[asyncio.Task[None]]:
    """Start asking whom the table says, and nobody where no group goes by it. The tasks are the caller's to end."""
    asked = {name: facts.figures for name, facts in table.providers.items() if facts.figures is not None}
    if not asked:
        return []
    for used in ("httpx", "prometheus_client.parser"):  # before there are requests that would wait for it
        importlib.import_module(used)
    return [asyncio.create_task(_ask_all(asked, hearsay))]


async def _ask_all(asked: dict[str, Figures], hearsay: Hearsay) -> None:
    import httpx  # hardly any gateway asks

    wanted = asyncio.Event()
    hearsay.wake = wanted.set
    # As SSL_CERT_FILE says, which httpx would look at together with the variables of a proxy only.
    trusted = ssl.create_default_context()
    async with (
        httpx.AsyncClient(timeout=PATIENCE, trust_env=False, verify=trusted) as client,
        asyncio.TaskGroup() as group,
    ):
        for name, figures in asked.items():
            group.create_task(_ask(name, Server(client, figures), hearsay, wanted))


async def _ask(name: str, server: Server, hearsay: Hearsay, wanted: asyncio.Event) -> None:
    while True:
        if not hearsay.wanted:
            wanted.clear()
            await wanted.wait()
        await asyncio.sleep(hearsay.due(name) + random.uniform(0.0, EVERY / 5))  # noqa: S311
        if hearsay.due(name):
            continue  # another worker was faster
        hearsay.ask_again(name, PATIENCE)
        hearsay.ask_again(name, await _asked(name, server, hearsay))


async def _asked(name: str, server: Server, hearsay: Hearsay) -> float:
    """In how many seconds it is to be asked again."""
    import httpx

    before = hearsay.sent(name)
    try:
        async with asyncio.timeout(PATIENCE):  # httpx counts anew for each phase of a request
            told = await server.says()
    except NothingSaid:
        return SILENT
    except (httpx.HTTPError, TimeoutError, OSError):
        return AWAY
    except Exception:
        log.exception("what %s says of its load could not be read", name)
        return SILENT
    # What began or ended in between may be counted or not: of others rather one too few is seen than one too many.
    hearsay.hear(name, told, max(before, hearsay.sent(name)))
    return EVERY * 4 / 5


class Server:
    """One that is asked, and the pages on which it says it; those that it does not have are not asked for again."""

    def __init__(self, client: httpx.AsyncClient, figures: Figures) -> None:
        self._client = client
        self._pages: list[tuple[str, Callable[[bytes], Said | None]]] = [
            (f"{figures.url}/metrics", lambda page: said.metrics(figures.kind, page.decode("utf-8", "replace")))
        ]
        if figures.kind == "llama_cpp":  # /metrics has to be switched on there
            self._pages.append((f"{figures.url}/slots", said.slots_of))
        key = os.environ.get(figures.key, "") if figures.key is not None else ""
        self._headers = {"authorization": f"Bearer {key}"} if key else {}

    async def says(self) -> Said:
        """Raises NothingSaid, or what httpx raises where there is no answer."""
        for index, (url, read) in enumerate(self._pages):
            page = await self._page(url)
            try:
                found = None if page is None else read(page)
            except (ValueError, OverflowError):  # no page of figures, or NaN and Inf where a count should be
                found = None
            if found is not None:
                del self._pages[:index]
                return found
        raise NothingSaid

    async def _page(self, url: str) -> bytes | None:
        async with self._client.stream("GET", url, headers=self._headers) as answer:
            if answer.status_code >= 500 and answer.status_code != NOT_IMPLEMENTED:
                answer.raise_for_status()  # it loads its model, or has too much to do
            if answer.status_code != 200:
                return None
            page = bytearray()
            async for piece in answer.aiter_bytes():
                page += piece
                if len(page) > MOST:
                    return None
            return bytes(page)
