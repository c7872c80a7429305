"""Who is asked for a request, in order, and which of them directly.

The order is that of ``dispatch``, whose rules hold for every lane. A plain name, which no rule covers, is followed by
its fallbacks and theirs, each once, as LiteLLM's router goes through them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiops.gateway.worker.call import Call
from aiops.gateway.worker.dispatch import Dispatch
from aiops.gateway.worker.lanes.direct.asking import Asking, asking
from aiops.gateway.worker.lanes.direct.failed import Failed, Kind
from aiops.spec.lanes.table import Lanes, Retries
from aiops.spec.names import HIDDEN

if TYPE_CHECKING:
    from aiops.gateway.worker.lanes.direct.attempt import Request

log = logging.getLogger("aiops.lanes")


@dataclass(frozen=True, slots=True)
class Target:
    """``name``: by which LiteLLM's router knows it, a served name or the id of a deployment. ``asking``: how it is
    asked directly; None: it cannot be. ``retries``: how often again."""

    name: str
    asking: Asking | None
    retries: Retries
    is_id: bool

    def is_direct(self, path: str) -> bool:
        return self.asking is not None and path in self.asking.urls

    def shown(self, call: Call) -> str:
        """What its answer calls the model: the name that was asked for, or that of the fallback, never an id."""
        return call.name if self.is_id else self.name


class Planner:
    """One per worker."""

    def __init__(self, dispatch: Dispatch, lanes: Lanes) -> None:
        self._dispatch = dispatch
        self._lanes = lanes
        askings = {} if lanes.mode == "litellm" else {id: asking(direct) for id, direct in lanes.direct.items()}
        self.any = bool(askings)
        self._targets: dict[str, Target] = {
            id: Target(id, one, one.direct.retries, True) for id, one in askings.items()
        }
        self._targets |= {
            plain.name: Target(plain.name, askings.get(plain.deployment), plain.retries, False)
            for plain in lanes.plain.values()
        }
        self._plain: dict[str, tuple[Target, ...]] = {}

    async def plan(self, call: Call, said: Mapping[str, Any]) -> Sequence[Target]:
        """Whom to ask; nobody when it is LiteLLM's to say. Notes in ``call`` which rule says so."""
        try:
            return await self._planned(call, said)
        except Exception:  # LiteLLM can choose alone, which is better than no answer
            self._dispatch.board.routing_errors += 1
            log.exception("routing failed; LiteLLM is asked")
            return ()

    async def _planned(self, call: Call, said: Mapping[str, Any]) -> Sequence[Target]:
        known = self._plain.get(call.name)
        if known is not None:
            return known
        if call.name.startswith(HIDDEN):
            return ()  # which LiteLLM's hook refuses
        ordered = await self._dispatch.order(call, said)
        if ordered:
            return [self._target(name) for name in ordered if isinstance(name, str)]
        if call.name not in self._lanes.plain:
            return ()
        found = tuple(self._in_turn(call, call.name, said, set()))[: 1 + self._lanes.max_fallbacks]
        if all(target.name in self._lanes.plain for target in found):  # no rule has a say in it
            self._plain[call.name] = found
        return found

    def instead(self, request: Request, target: Target, failure: Failed) -> Sequence[Target] | None:
        """Who is asked after a failure of two kinds, in the place of the others; None: the others."""
        table = {Kind.TOO_LONG: self._lanes.context_window, Kind.AGAINST_POLICY: self._lanes.content_policy}
        others = table.get(failure.kind, {}).get(target.name)
        if others is None:
            return None
        seen = {target.name}
        return [each for name in others for each in self._in_turn(request.call, name, request.asked.said, seen)]

    def _target(self, name: str) -> Target:
        return self._targets.get(name) or Target(name, None, Retries(), False)

    def _in_turn(self, call: Call, name: str, said: Mapping[str, Any], seen: set[str]) -> Iterator[Target]:
        if name in seen:
            return
        seen.add(name)
        group = self._dispatch.standing_by(call, name, said)
        if group is not None:
            members, fallbacks = group
            yield from (self._target(str(member)) for member in members)
        else:
            yield self._target(name)
            plain = self._lanes.plain.get(name)
            fallbacks = plain.fallbacks if plain is not None else ()
        for other in fallbacks:
            yield from self._in_turn(call, other, said, seen)
