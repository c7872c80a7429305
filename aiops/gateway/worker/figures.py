"""What a worker counts for ``/metrics``, each with one write to its own memory: no lock, no file, no wait."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from aiops.gateway.shared.metrics import series
from aiops.gateway.shared.metrics.memory import Memory
from aiops.state.rules import Refusal
from aiops.state.usage import writer
from aiops.state.usage.record import Outcome


class Figures:
    """To be made after the fork. ``process``: pid and start of this worker."""

    def __init__(self, state: Path, process: str, say: Callable[[str], None]) -> None:
        self._memory = memory = Memory(state, process, say)
        self._places = memory.places
        self._in_flight = memory.places[(series.IN_FLIGHT.name,)]

    def let_in(self) -> None:
        """A request to a model, which will be said to have ended."""
        self._memory.add(self._in_flight)

    def passed_on(self) -> None:
        """One that was let in goes on in another worker."""
        self._memory.add(self._in_flight, -1)

    def ended(self, outcome: Outcome, status: int) -> None:
        """``status``: 0 when there was none."""
        code = f"{status // 100}xx"
        key = (series.REQUESTS.name, outcome, code if code in series.CODES else "none")
        self._memory.add(self._in_flight, -1)
        self._memory.add(self._places[key])

    def refused(self, refusal: Refusal) -> None:
        """A request that is not let in."""
        self._memory.add(self._places[(series.REFUSED.name, _kind(refusal))])

    def stand(self, *, reservations: int, waiting: int, stands_in: bool, state: str) -> None:
        """How it is now. ``state``: one of ``series.STATES``."""
        put, places = self._memory.put, self._places
        put(places[(series.RESERVATIONS.name,)], reservations)
        put(places[(series.WAITING.name,)], waiting)
        put(places[(series.STANDING_IN.name,)], int(stands_in))
        for each in series.STATES:
            put(places[(series.WORKERS.name, each)], int(each == state))


def without_accountant(state: Path) -> str:
    """What all processes have counted, for want of anybody who knows more."""
    from aiops.gateway.shared.metrics import text, totals  # who is scraped seldom needs it

    found = totals.read(state, writer.lives)
    return text.text(text.numbers(found, {(series.ACCOUNTANT.name,): 0.0}))


def _kind(refusal: Refusal) -> str:
    """A closed set: what a refusal is called may have the name of a model's owner in it some day."""
    kind = refusal.kind
    if kind.endswith("_model_access_denied"):
        kind = "model_access_denied"
    elif refusal.status == 404:
        kind = "not_found"
    return kind if kind in series.REFUSALS else "other"
