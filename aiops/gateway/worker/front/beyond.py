"""When a request is beyond a worker: somebody else has to answer it, from the beginning and under the same id."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable

from aiops.gateway.worker.front.asgi import Scope

GIVEN = "aiops.given"
"""In the state of a request that another worker has begun with: its id."""


class NeedsLiteLLM(Exception):
    """Raised before anything is answered, in a worker that has no LiteLLM. ``id``: under which it was let in;
    ``give_up``: to be called when nobody answers it after all."""

    def __init__(self) -> None:
        super().__init__("this worker has no LiteLLM")
        self.id = ""
        self.give_up: Callable[[], Awaitable[None]] = nothing


async def nothing() -> None:
    """There is nothing to give back."""


def id_of(scope: Scope) -> str:
    """Of a request that is let in."""
    return str(scope.get("state", {}).get(GIVEN) or uuid.uuid4().hex)
