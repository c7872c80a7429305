"""How counters stand, for whoever looks on: nothing is counted by it, and a counter that is not there is told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from aiops.state.counters.meters import Counters, Level, Meter

_NOT_THERE = -1  # no counter stands below nothing


async def standing(counters: Counters, meters: Sequence[Meter]) -> Mapping[str, Level]:
    """By the meters' names, without money counters that are not there. Raises Unavailable."""
    found = await counters.levels([replace(meter, base=_NOT_THERE) for meter in meters])
    return {
        meter.name: level._replace(meter=meter)
        for meter, level in zip(meters, found, strict=True)
        if level.used != _NOT_THERE
    }
