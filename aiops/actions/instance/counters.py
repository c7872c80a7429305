"""The counters of this host's workers, looked at from outside."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from aiops.host.instance import Instance
from aiops.state.counters.meters import Level, Meter, Unavailable

DIRECTORY = "counters"
_NOT_THERE = -1  # no counter stands below nothing


def levels(instance: Instance, meters: Sequence[Meter]) -> Mapping[str, Level] | None:
    """By the meters' names, without money counters that are not there. None: nobody counts here, or they do not answer.

    Nothing is counted by it.
    """
    directory = instance.state / DIRECTORY
    if not directory.is_dir():
        return None
    from aiops.state.counters.shared import Shared

    marked = [replace(meter, base=_NOT_THERE) for meter in meters]
    try:
        counters = Shared(directory)
    except OSError:
        return None
    try:
        found = asyncio.run(counters.levels(marked))
    except Unavailable:
        return None
    finally:
        counters.close()
    return {
        meter.name: replace(level, meter=meter)
        for meter, level in zip(meters, found, strict=True)
        if level.used != _NOT_THERE
    }
