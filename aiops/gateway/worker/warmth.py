"""Which providers are warm, asked in the background: a request never waits for more than the first round."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiops.gateway.worker.board import Board
from aiops.gateway.worker.dispatch import Dispatch

if TYPE_CHECKING:
    import httpx

EVERY = 10.0  # seconds between rounds


def keep_watch(dispatch: Dispatch) -> list[asyncio.Task[None]]:
    """Start asking, when the configuration wants warm providers to be preferred. The tasks are the caller's to end."""
    seconds = dispatch.board.table.special.warm_check
    if seconds is None:
        return []
    dispatch.checked = asyncio.Event()
    return [asyncio.create_task(_watch(dispatch.board, dispatch.checked, seconds))]


async def _watch(board: Board, checked: asyncio.Event, seconds: float) -> None:
    import httpx  # only where warm providers are preferred

    async with httpx.AsyncClient(timeout=seconds, trust_env=False) as client:
        while True:
            asked = {name: facts.health_url for name, facts in board.table.providers.items() if facts.health_url}
            cold = {name: url for name, url in asked.items() if not board.answered_lately(name)}
            await asyncio.gather(*(_ask(board, client, name, url, seconds) for name, url in cold.items()))
            checked.set()
            await asyncio.sleep(EVERY)


async def _ask(board: Board, client: httpx.AsyncClient, name: str, url: str, seconds: float) -> None:
    import httpx

    try:
        # httpx counts its time-out anew for each phase of a request.
        answer = await asyncio.wait_for(client.get(url), seconds)
    except (httpx.HTTPError, TimeoutError):
        board.healthy(name, False)
    else:
        board.healthy(name, answer.status_code < 500)
