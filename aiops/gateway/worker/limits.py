"""``rate_limit`` of a model, on the counters that keys are counted on: over all workers, generations and replicas.

A deployment that is asked takes room first; who finds none is told when there will be some, and the next deployment is
asked. Tokens are reserved as they are estimated and put right when the request ends; requests stay counted. Counters
that are away stop nobody. Nothing here imports LiteLLM.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiops.state.counters.meters import SLIDING, Counters, Demand, Meter, Refused, Unavailable

MOST_UNSAID = 10_000


class Full(Exception):
    """``wait``: seconds after which there is room, if nobody else asks."""

    def __init__(self, refused: Refused) -> None:
        meter = refused.level.meter
        self.wait = max(1.0, refused.wait) if refused.wait is not None else 1.0
        what = meter.what.removesuffix("s") if meter.limit == 1 else meter.what
        super().__init__(f"this model is limited to {meter.limit} {what} in {SLIDING} seconds")


class Held:
    """What one request has taken of the limit of the deployment that it asks. The first end of it counts."""

    __slots__ = ("_id", "_limits")

    def __init__(self, limits: Limits, id: str) -> None:
        self._limits, self._id = limits, id

    async def settle(self, tokens: int) -> None:
        """It has ended, and has used these."""
        await self._limits.say(self._id, tokens)

    async def void(self) -> None:
        """It was not answered: no token was used."""
        await self.settle(0)


class Limits:
    """One per worker. ``limited``: the meters of each deployment that has some, by its id. ``counters`` None: they
    cannot be opened, which whoever opens them has said. ``tell`` writes a line for the operator."""

    def __init__(
        self,
        limited: Mapping[str, tuple[Meter, ...]],
        counters: Counters | None,
        owner: str,
        tell: Callable[[str], None],
    ) -> None:
        self._limited = limited if counters is not None else {}
        self._counters = counters
        self._owner = owner
        self._tell = tell
        self._is_away = False
        self._unsaid: dict[str, int] = {}

    def __contains__(self, deployment: str) -> bool:
        return deployment in self._limited

    async def take(self, deployment: str, tokens: int) -> Held | None:
        """Room for one request of so many ``tokens``, as estimated. None: it cannot be counted now. Raises Full."""
        assert self._counters is not None
        demand = Demand(id=uuid.uuid4().hex, owner=self._owner, meters=self._limited[deployment], tokens=tokens)
        try:
            decision = await self._counters.reserve(demand)
        except Unavailable as error:
            self._away(str(error))
            return None
        if self._is_away:
            self._is_away = False
            self._tell("limits of models are counted again")
        if isinstance(decision, Refused):
            raise Full(decision)
        return Held(self, demand.id)

    async def say(self, id: str, tokens: int) -> None:
        """How a request ended. Counters that are away are told later, and so are those that may not have heard it
        because its client left."""
        assert self._counters is not None
        try:
            await self._counters.settle(id, tokens, 0)
        except BaseException as error:
            if len(self._unsaid) < MOST_UNSAID:
                self._unsaid[id] = tokens
            if not isinstance(error, Unavailable):
                raise
            self._away(str(error))

    async def say_again(self) -> None:
        """To be called each second."""
        unsaid, self._unsaid = self._unsaid, {}
        for id, tokens in unsaid.items():
            await self.say(id, tokens)

    def _away(self, why: str) -> None:
        if not self._is_away:
            self._is_away = True
            self._tell(f"limits of models cannot be counted: {why}; requests pass uncounted")


def meters(name: str, rpm: int | None, tpm: int | None) -> tuple[Meter, ...]:
    """Of a served name. The same in every generation, so that none begins anew with a change."""
    found = (("rpm", "requests", rpm), ("tpm", "tokens", tpm))
    return tuple(
        Meter(name=f"model:{name}:{short}", what=what, limit=limit, shown="model")  # type: ignore[arg-type]
        for short, what, limit in found
        if limit
    )


def limited(models: Iterable[Mapping[str, Any]]) -> dict[str, tuple[Meter, ...]]:
    """The meters of each deployment that has some, by its id; ``models``: as LiteLLM's configuration lists them.
    Generations of before have the limits where LiteLLM makes one of requests at once of them too."""
    found = {}
    for model in models:
        info = model.get("model_info") or {}
        said = {**model["litellm_params"], **info}
        if its := meters(str(model["model_name"]), said.get("rpm"), said.get("tpm")):
            found[str(info["id"])] = its
    return found
