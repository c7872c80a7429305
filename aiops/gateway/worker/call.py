"""One request of a client, and the deployment that works on it now.

The extension makes one for each request and ends it when the response is through, however that comes about; LiteLLM's
hooks find it in the context and say which deployment is tried. So nothing counted for a request outlives it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from enum import Enum
from typing import Final

from aiops.gateway.worker.limits import Held

current: ContextVar[Call | None] = ContextVar("aiops_call", default=None)
"""The request that is being answered; None outside of one."""


DIRECT: Final = b"direct"
LITELLM: Final = b"litellm"
"""The lanes."""


class State(Enum):
    """What became of the deployment that is asked."""

    IDLE = "none is asked yet"
    WORKING = "it has not answered yet"
    ANSWERING = "it has begun to answer"
    FAILED = "it failed; another may be tried"
    OVER = "the request is over"


IN_FLIGHT = frozenset({State.WORKING, State.ANSWERING})
# From which states each may come. What is told twice is nothing new; whatever else comes out of turn changes nothing
# and is counted: LiteLLM's hooks may come late, and twice, and in an order that nobody has seen yet.
_FROM: Mapping[State, frozenset[State]] = {
    State.WORKING: frozenset({State.IDLE, State.FAILED}),
    State.ANSWERING: frozenset({State.WORKING}),
    State.FAILED: IN_FLIGHT,
    State.OVER: frozenset(State) - {State.OVER},
}
out_of_turn: Counter[tuple[State, State]] = Counter()
"""(the state a call was in, the one it was told) -> how often, in this worker."""


class Call:
    """``passed``: what the provider is asked for where names are passed on; None for ``name`` itself.
    ``rule``: what routed it, as its header says it; None when nothing had to. ``fell_from``: the provider that
    was tried before the one that answers. ``headers``: as they came, names in lower case. ``private``: it came
    by the private socket; ``proof``: aiops itself asks, by whichever. ``attempts``: how often a deployment was
    asked; ``fallbacks``: how often that was another one than before. ``began``: when the one that is asked was,
    monotonic. ``final``: what asking the same again would not mend. ``queued``: seconds it waited for a
    slot, None where there is no queue; ``turned_away``: it got none, and seconds after which it may. ``held``: of the
    limit of the deployment that is asked; ``full``: seconds after which a limit that it found full has room.
    ``refused``: why aiops itself let it ask somebody not, the first time: by a limit, or for want of a slot.
    ``patience``: seconds that its client waits by its own word; ``impatient``: which is less than the operator gives
    the one that is asked.
    ``lane``: that works on it. ``planned``: who is to be asked after those that were, by names that LiteLLM's router
    knows; None where LiteLLM's hook chooses. ``used``: told at the end how many tokens it used.
    ``receive``: returns when the client has left, once its body is read; None where nobody asks. The state is changed
    by ``ask``, ``answer``, ``fail`` and ``end`` alone, each of which says whether it was."""

    __slots__ = (
        "_state",
        "attempts",
        "began",
        "deployment",
        "failure",
        "fallbacks",
        "fell_from",
        "final",
        "full",
        "headers",
        "held",
        "impatient",
        "lane",
        "name",
        "passed",
        "patience",
        "planned",
        "private",
        "proof",
        "provider",
        "queued",
        "receive",
        "refused",
        "rule",
        "turned_away",
        "used",
    )

    def __init__(
        self, headers: Iterable[tuple[bytes, bytes]] = (), *, private: bool = False, proof: bool = False
    ) -> None:
        self.headers = headers
        self.private = private
        self.proof = proof or private
        self.name = ""
        self.passed: str | None = None
        self.rule: bytes | None = None
        self.deployment = ""
        self.provider = ""
        self.began = 0.0  # monotonic
        self._state = State.IDLE
        self.attempts = 0
        self.fallbacks = 0
        self.fell_from = ""
        self.failure = ""
        self.final: Exception | None = None
        self.queued: float | None = None
        self.receive: Callable[[], Awaitable[object]] | None = None
        self.turned_away: float | None = None
        self.held: Held | None = None
        self.full: float | None = None
        self.refused = ""
        self.patience: float | None = None
        self.impatient = False
        self.lane = LITELLM
        self.planned: Sequence[str] | None = None
        self.used: Callable[[int], None] | None = None

    @property
    def state(self) -> State:
        return self._state

    @property
    def in_flight(self) -> bool:
        return self._state in IN_FLIGHT

    def ask(self, deployment: str, provider: str, now: float) -> bool:
        """A deployment is asked; one that was before has failed, see ``fail``."""
        if not self._become(State.WORKING):
            return False
        if self.deployment not in ("", deployment):
            self.fell_from = self.provider
            self.fallbacks += 1
        self.deployment, self.provider = deployment, provider
        self.began = now
        self.attempts += 1
        return True

    def answer(self) -> bool:
        """The answer, or its first piece, has come."""
        return self._become(State.ANSWERING)

    def fail(self, failure: str) -> bool:
        """The deployment that was asked did not answer, or broke off; ``failure`` says how."""
        if not self._become(State.FAILED):
            return False
        self.failure = failure
        return True

    def end(self) -> State | None:
        """The request has ended. The state that ended, which says how; None when it had before."""
        before = self._state
        return before if self._become(State.OVER) else None

    def _become(self, state: State) -> bool:
        if self._state in _FROM[state]:
            self._state = state
            return True
        if self._state is not state:
            out_of_turn[self._state, state] += 1
        return False
