"""A limit of requests in a minute holds for all replicas together, and a refusal says when there is room again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from aiops.verify.check import Failed, Skipped
from aiops.verify.replicas.tenant import Reply

WINDOW = 60.0  # seconds in which requests are counted; they slide
OFF_BY = 1
UNSURE = 0.1  # seconds: clocks are read before and after
FULL = "requests"


def requests(limit: int, burst: Sequence[Reply]) -> str:
    """Of more than were allowed so many passed, whoever was asked. Raises Failed, Skipped."""
    took = max(reply.began for reply in burst) - min(reply.began for reply in burst)
    if took > WINDOW - 5:
        raise Skipped(f"{len(burst)} requests took {took:.0f} s: the first of them do not count any more")
    refused = [reply for reply in burst if reply.limit == FULL]
    odd = [reply for reply in burst if not reply.answered and reply.limit != FULL]
    passed = Counter(reply.replica.name for reply in burst if reply.limit != FULL)
    said = f"{passed.total()} of {len(burst)} requests passed a limit of {limit} ({named(passed)})"
    if abs(passed.total() - limit) > OFF_BY:
        raise Failed(said)
    if odd:
        raise Failed(f"{said}, but {len(odd)} were not answered: {odd[0].replica.name}: {odd[0]}")
    return f"{said}, {len(refused)} were refused"


def retry_after(burst: Sequence[Reply]) -> str:
    """Each refusal names the second in which the first request that passed is a minute old. Raises Failed, Skipped."""
    refused = [reply for reply in burst if reply.limit == FULL]
    passed = [reply for reply in burst if reply.limit != FULL]
    if not refused or not passed:
        raise Skipped("none was refused" if passed else "none passed")
    earliest, latest = min(reply.began for reply in passed), min(reply.ended for reply in passed)
    for reply in refused:
        least, most = earliest + WINDOW - reply.ended - UNSURE, latest + WINDOW - reply.began + 1 + UNSURE
        if reply.wait is None:
            raise Failed(f"{reply.replica.name} refused without a Retry-After")
        if not least <= reply.wait <= most:
            raise Failed(
                f"{reply.replica.name} said Retry-After: {reply.wait:g}; there is room in {least:.1f} to {most:.1f} s"
            )
    waits = sorted(reply.wait for reply in refused if reply.wait is not None)
    return (
        f"{len(refused)} refusals said {waits[0]:g} to {waits[-1]:g} s, when the first of the requests is a minute old"
    )


def due(burst: Sequence[Reply]) -> tuple[Reply, float] | None:
    """The refusal that may be asked again first, and when by ``time.monotonic``; None: there is none."""
    found = [(reply.ended + reply.wait, reply) for reply in burst if reply.limit == FULL and reply.wait is not None]
    if not found:
        return None
    at, reply = min(found, key=lambda each: each[0])
    return reply, at


def named(many: Counter[str]) -> str:
    """How many of each, for people."""
    return ", ".join(f"{name} {many[name]}" for name in sorted(many)) or "none"
