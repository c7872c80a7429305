"""What this worker sees of its providers is told to all others, and what they see to it: by the accountant, which
nobody waits for. No request asks it anything: what was heard is in the board."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from aiops.gateway.shared.accounting import Seen
from aiops.gateway.shared.sightings import Sightings
from aiops.gateway.worker.board import Board

EVERY_SECONDS = 1.0
TOGETHER_SECONDS = 0.02  # a provider that goes away fails several requests


class Telling:
    """``tell`` says something to the accountant, if it is there and listens to this. ``places``: see ``places``."""

    def __init__(self, board: Board, places: Mapping[str, str], tell: Callable[[Seen], None]) -> None:
        self._board = board
        self._tell = tell
        self._news = asyncio.Event()
        board.elsewhere.know(places)
        board.noticed = self._news.set

    async def go_on(self) -> None:
        """Until cancelled; at once over where nobody is chosen by what others see."""
        while self._board.shares:
            self._tell(Seen(self._board.sightings().plain()))
            await asyncio.sleep(TOGETHER_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY_SECONDS):
                    await self._news.wait()
            self._news.clear()

    def hear(self, sightings: Mapping[str, Any]) -> None:
        """Raises ValueError for what is none."""
        self._board.elsewhere.hear(Sightings.of(sightings))
