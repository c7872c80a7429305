"""The section ``lanes``: one run in which all contenders take turns on one core, asked and answered from another."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Iterator

from tests.bench.figures import Figure
from tests.bench.gateways import BenchError, Instance
from tests.bench.lanes import contenders, measures, peers, standing
from tests.bench.lanes.contenders import AIOPS, AIOPS_LITELLM, STOCK, Contender
from tests.bench.session import Session

IDLE = 2.5  # µs for a sum of a thousand numbers, on the machine of docs/performance.md when nothing else ran


def lanes(session: Session) -> Iterator[Figure]:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise BenchError("two processor cores are needed: one for the gateway, one for those who ask and answer")
    session.say(f"   gateways on core {cores[0]}; client and provider on core {cores[-1]}")
    with contextlib.ExitStack() as stack, contenders.on_core(cores[-1]):
        upstream = contenders.upstream(stack)
        with contenders.on_core(cores[0]):
            yield machine()
            compared, instances = _start(session, stack, upstream)
        field = measures.Field(session, compared, contenders.straight(upstream))
        yield from standing.memory(instances[AIOPS], field.of(STOCK))
        yield from measures.whole(field)
        yield from measures.streams(field)
        yield from measures.first_token(field)
        yield from measures.equal_load(field)
        yield from measures.fixed_rates(field)
        yield from standing.many_streams(session, field.of(AIOPS))
        yield from standing.cold_start(session, cores[0], instances[AIOPS], field.of(AIOPS), field.of(STOCK))


def machine() -> Figure:
    """How much slower than idle it was: what else runs takes time away, and caches."""
    numbers, took = list(range(1000)), []
    for _ in range(300):
        began = time.perf_counter()
        for _ in range(300):
            sum(numbers)
        took.append((time.perf_counter() - began) / 300 * 1e6)
    factor = statistics.mean(took) / IDLE
    return Figure("lanes: machine, times slower than idle", factor, "x", detail=f"{IDLE} µs for a sum of a thousand")


def _start(session: Session, stack: contextlib.ExitStack, upstream: int) -> tuple[list[Contender], dict[str, Instance]]:
    found, instances = [], {}
    for name, lane in ((AIOPS, "direct"), (AIOPS_LITELLM, "litellm")):
        contender, instances[name] = contenders.aiops(session, stack, upstream, lane)
        found.append(contender)
    found.append(contenders.stock(session, stack, upstream))
    for start in peers.ALL:
        try:
            found.append(start(session, stack, upstream))
        except BenchError as error:
            session.say(f"   without {start.__name__}: {error}")
    found.append(contenders.passing(stack, upstream))
    for contender in list(found):
        contender.wait()
        session.say(f"   {contender.name} answers")
    contenders.check_lane(found[0], "direct")
    contenders.check_lane(found[1], "litellm")
    return found, instances
