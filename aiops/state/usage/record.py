"""One request that was let in, as the ledger has it. Written once, when it has ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["answered", "cached", "failed", "left", "lost"]
"""``cached``: it was answered with what an earlier request was, and nobody was asked. ``left``: the client did before
the end. ``lost``: the process that answered it was killed."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """``id``: made by the server, unique. ``key``, ``team``, ``user``: ids; ``key`` is empty for the master key.

    ``model``: the name asked for; ``served``: the model that the provider was asked for. ``started``: microseconds
    since 1970 UTC; ``seconds`` until the end, ``first`` until the first token. ``status``: HTTP. Tokens as the
    provider says, or as reckoned where it says nothing (``estimated``). ``cost``: nano-dollars; None: nobody knows the
    price. ``epoch``: which counters it is settled in, as ``usage/settled.py`` says it.
    """

    id: str
    key: str
    team: str | None
    user: str | None
    model: str
    provider: str
    served: str
    path: str
    started: int
    seconds: float
    first: float | None
    status: int
    outcome: Outcome
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    cost: int | None
    estimated: bool
    stream: bool
    generation: int
    replica: str
    epoch: str
    end_user: str | None = None
    tags: tuple[str, ...] = ()
    idempotency_key: str | None = None
