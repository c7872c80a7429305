"""The counters of this host's workers, looked at from outside."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from aiops.actions.instance.database import shared
from aiops.host.instance import Instance
from aiops.state.counters.meters import Counters, Level, Meter, Unavailable
from aiops.state.counters.opened import ALONE
from aiops.state.counters.standing import standing

PATIENCE_SECONDS = 2.0

T = TypeVar("T")


def levels(instance: Instance, meters: Sequence[Meter]) -> Mapping[str, Level] | None:
    """By the meters' names, without money counters that are not there. None: nobody counts here, or they do not answer.

    Nothing is counted by it.
    """
    return ask(instance, lambda counters: standing(counters, meters))


def ask(instance: Instance, question: Callable[[Counters], Awaitable[T]]) -> T | None:
    """What these counters answer. None: nobody counts here, or they do not answer."""
    found = shared(instance)
    if found is None and not (instance.state / ALONE).is_dir():
        return None
    try:
        redis_url = found.redis_url(instance.secrets) if found is not None else None
        return asyncio.run(_ask(instance, redis_url, question))
    except (OSError, ValueError, Unavailable):
        return None


async def _ask(instance: Instance, redis_url: str | None, question: Callable[[Counters], Awaitable[T]]) -> T:
    if redis_url is not None:
        from aiops.state.counters.redis import Redis

        redis = Redis(redis_url, connect=PATIENCE_SECONDS, command=PATIENCE_SECONDS)
        try:
            return await question(redis)
        finally:
            await redis.close()
    from aiops.state.counters.shared import Shared

    counters = Shared(instance.state / ALONE)
    try:
        return await question(counters)
    finally:
        counters.close()
