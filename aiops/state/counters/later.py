"""Counters of this host that could not be opened, on a full disk: ``Unavailable`` until they can."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from aiops.state.counters.meters import Decision, Demand, Level, Meter, Settled, Unavailable

if TYPE_CHECKING:
    from aiops.state.counters.shared import Shared

AGAIN = 1.0  # seconds between two tries


class Later:
    """What ``Shared`` is, made by ``make`` as soon as that raises no OSError. ``why``: it could not be so far."""

    def __init__(self, directory: Path, make: Callable[[], Shared], why: str) -> None:
        self._directory, self._make, self._why = directory, make, why
        self._found: Shared | None = None
        self._again_at = monotonic() + AGAIN

    def _there(self) -> Shared:
        if self._found is None:
            now = monotonic()
            if now < self._again_at:
                raise Unavailable(self._why, asked=False)
            self._again_at = now + AGAIN
            try:
                self._found = self._make()
            except OSError as error:
                self._why = reason(self._directory, error)
                raise Unavailable(self._why, asked=False) from error
        return self._found

    def close(self) -> None:
        if self._found is not None:
            self._found.close()

    async def epoch(self) -> str:
        return await self._there().epoch()

    async def reserve(self, demand: Demand) -> Decision:
        return await self._there().reserve(demand)

    async def settle(self, id: str, tokens: int, cost: int) -> Settled:
        return await self._there().settle(id, tokens, cost)

    async def void(self, id: str) -> bool:
        return await self._there().void(id)

    async def post(self, id: str, costs: Mapping[str, int], ends: Mapping[str, int | None]) -> bool:
        return await self._there().post(id, costs, ends)

    async def seed(self, meters: Mapping[str, int], ends: Mapping[str, int | None], epoch: str = "") -> None:
        await self._there().seed(meters, ends, epoch)

    async def levels(self, meters: Sequence[Meter]) -> tuple[Level, ...]:
        return await self._there().levels(meters)

    async def alive(self, owner: str) -> None:
        await self._there().alive(owner)

    async def gone(self, owner: str) -> None:
        await self._there().gone(owner)

    async def stand_in(self) -> None:
        await self._there().stand_in()

    async def begin_epoch(self) -> None:
        await self._there().begin_epoch()


def reason(directory: Path, error: OSError) -> str:
    """For people: where, and what the system says."""
    said = error.strerror or str(error)
    return said if str(directory) in said else f"{directory}: {said}"
