"""The counters of this host's workers, looked at from outside."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from aiops.actions.instance.database import shared
from aiops.host.instance import Instance
from aiops.state.counters.meters import Level, Meter, Unavailable
from aiops.state.counters.opened import ALONE

PATIENCE_SECONDS = 2.0
_NOT_THERE = -1  # no counter stands below nothing


def levels(instance: Instance, meters: Sequence[Meter]) -> Mapping[str, Level] | None:
    """By the meters' names, without money counters that are not there. None: nobody counts here, or they do not answer.

    Nothing is counted by it.
    """
    found = shared(instance)
    if found is None and not (instance.state / ALONE).is_dir():
        return None
    marked = [replace(meter, base=_NOT_THERE) for meter in meters]
    try:
        redis_url = found.redis_url(instance.secrets) if found is not None else None
        found_levels = asyncio.run(_levels(instance, redis_url, marked))
    except (OSError, ValueError, Unavailable):
        return None
    return {
        meter.name: level._replace(meter=meter)
        for meter, level in zip(meters, found_levels, strict=True)
        if level.used != _NOT_THERE
    }


async def _levels(instance: Instance, redis_url: str | None, meters: Sequence[Meter]) -> Sequence[Level]:
    if redis_url is not None:
        from aiops.state.counters.redis import Redis

        redis = Redis(redis_url, connect=PATIENCE_SECONDS, command=PATIENCE_SECONDS)
        try:
            return await redis.levels(meters)
        finally:
            await redis.close()
    from aiops.state.counters.shared import Shared

    counters = Shared(instance.state / ALONE)
    try:
        return await counters.levels(meters)
    finally:
        counters.close()
