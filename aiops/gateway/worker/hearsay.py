"""What model servers say of their own load, known to all workers of the generation: one of them asks, for all.

So the requests of other gateways, and of whoever else asks a server, are seen. What is not told again is over within
seconds, and counts for nothing then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiops.gateway.worker.slots import ASK_AT, CACHE, IN_FLIGHT, RUNNING, SAID_AT, SENT, WAITING, Slots
from aiops.spec.choosing.said import Said

STALE = 3.0  # seconds
WANTED = 60.0  # seconds after a request in which servers are asked: llama.cpp's /slots keeps an idle one from sleeping
_NO_WORD = -1.0  # in the place of a figure that is not told


class Hearsay:
    """``places``: of the providers that may say something, in ``slots``. Times are seconds of ``clock``, which all
    workers share."""

    def __init__(self, slots: Slots, worker: int, places: Mapping[str, int], clock: Callable[[], float]) -> None:
        self._slots, self._worker, self._places, self._clock = slots, worker, places, clock
        self._wanted = -WANTED
        self.wake: Callable[[], None] | None = None
        """Told when a request comes after a time without any."""

    # --- the request path ---------------------------------------------------------------------------------------

    def said(self, provider: str) -> Said | None:
        """None: nothing, or too long ago."""
        place = self._places.get(provider)
        if place is None:
            return None
        now = self._clock()
        if now - self._wanted >= WANTED and self.wake is not None:
            self.wake()
        self._wanted = now
        return self._latest(place, now)

    def _latest(self, place: int, now: float) -> Said | None:
        get = self._slots.get
        when, by = self._slots.latest(place, SAID_AT)
        if not when or now - when > STALE:
            return None
        running, waiting, cache = get(by, place, RUNNING), get(by, place, WAITING), get(by, place, CACHE)
        sent, sends = get(by, place, SENT), self._slots.total(place, IN_FLIGHT)
        return Said(
            int(running),
            # Of ours that have ended since, each has made room for one that waited.
            None if waiting == _NO_WORD else int(max(0.0, waiting + min(0.0, sends - sent))),
            None if cache == _NO_WORD else cache,
            beside=int(max(0.0, running + max(0.0, waiting) - sent)),
        )

    def looked_up(self, provider: str) -> Said | None:
        """The same for a person, whose look is no reason to ask the server."""
        place = self._places.get(provider)
        return None if place is None else self._latest(place, self._clock())

    # --- whoever asks -------------------------------------------------------------------------------------------

    @property
    def wanted(self) -> bool:
        """Whether a request came lately that was led by it."""
        return self._clock() - self._wanted < WANTED

    def due(self, provider: str) -> float:
        """In how many seconds the provider is to be asked; 0.0: now, by whoever sees it first."""
        return max(0.0, self._slots.latest(self._places[provider], ASK_AT)[0] - self._clock())

    def ask_again(self, provider: str, seconds: float) -> None:
        """Nobody needs to ask it before."""
        self._slots.put(self._worker, self._places[provider], ASK_AT, self._clock() + seconds)

    def sent(self, provider: str) -> float:
        """Requests of this gateway that it is answering now."""
        return self._slots.total(self._places[provider], IN_FLIGHT)

    def hear(self, provider: str, said: Said, sent: float) -> None:
        """It said so now. ``sent``: of those it counts, how many this gateway had sent."""
        place, put = self._places[provider], self._slots.put
        for column, number in (
            (RUNNING, float(said.running)),
            (WAITING, _NO_WORD if said.waiting is None else float(said.waiting)),
            (CACHE, _NO_WORD if said.cache is None else said.cache),
            (SENT, sent),
            (SAID_AT, self._clock()),
        ):
            put(self._worker, place, column, number)
