"""One request of a client, and the deployment that works on it now.

The extension makes one for each request and ends it when the response is through, however that comes about; LiteLLM's
hooks find it in the context and say which deployment is tried. So nothing counted for a request outlives it.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from enum import Enum

current: ContextVar[Call | None] = ContextVar("aiops_call", default=None)
"""The request that is being answered; None outside of one."""


class State(Enum):
    """What became of the deployment that is asked."""

    IDLE = "none is asked yet"
    WORKING = "it has not answered yet"
    ANSWERING = "it has begun to answer"
    FAILED = "it failed; another may be tried"
    OVER = "the request is over"


class Call:
    """``passed``: what the provider is asked for where names are passed on; None for ``name`` itself.
    ``rule``: what routed it, as its header says it; None when nothing had to. ``fell_from``: the provider that was
    tried before the one that answers. ``headers``: as they came, names in lower case. ``attempts``: how often a
    deployment was asked; ``fallbacks``: how often that was another one than before."""

    __slots__ = (
        "attempts",
        "began",
        "deployment",
        "failure",
        "fallbacks",
        "fell_from",
        "headers",
        "name",
        "passed",
        "private",
        "provider",
        "rule",
        "state",
    )

    def __init__(self, headers: Iterable[tuple[bytes, bytes]] = (), *, private: bool = False) -> None:
        self.headers = headers
        self.private = private
        self.name = ""
        self.passed: str | None = None
        self.rule: bytes | None = None
        self.deployment = ""
        self.provider = ""
        self.began = 0.0  # monotonic
        self.state = State.IDLE
        self.attempts = 0
        self.fallbacks = 0
        self.fell_from = ""
        self.failure = ""

    @property
    def in_flight(self) -> bool:
        return self.state in (State.WORKING, State.ANSWERING)
