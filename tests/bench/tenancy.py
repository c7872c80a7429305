"""What keys cost: requests per second with a limited, budgeted key against the master key's, and one reservation in
the counters that workers share, against the least that such a counter could take. And how soon a key is refused."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from statistics import median as middle
from typing import TYPE_CHECKING

from aiops.state.counters.meters import Counters, Demand, Granted, Meter
from aiops.state.counters.shared import Shared
from tests.bench import shared
from tests.bench.figures import Figure, median
from tests.bench.gateways import Instance
from tests.bench.session import Session
from tests.bench.sizes import busy
from tests.kit.redis import Redis, missing

if TYPE_CHECKING:
    from redis.asyncio import Redis as Client

PLENTY = 10**9  # requests and tokens: all that a key of many is counted on, and nothing is refused
LIMITS = tuple(f"--rpm-limit {PLENTY} --tpm-limit {PLENTY} --max-parallel-requests 1000 --max-budget 1000000".split())
METERS = (
    Meter(name="key:k:rpm", what="requests", limit=PLENTY),
    Meter(name="key:k:tpm", what="tokens", limit=PLENTY),
    Meter(name="key:k:parallel", what="parallel", limit=1000),
    Meter(name="key:k:usd:0:ever:0", what="money", limit=10**18),
)
ROW = (*METERS[:2], replace(METERS[2], limit=PLENTY), METERS[3])  # none of them is settled
REFUSED_WITHIN = 1.0  # seconds
SHARE = 0.95  # of the throughput of the same gateway with its master key alone
TIMES = 1.5  # an INCRBY, for a reservation
PRICED = "    cost_per_1k_tokens: 0.001\n"


def keys(session: Session) -> Iterator[Figure]:
    yield from _requests(session)
    count = session.rounds(10_000, 2_000)
    own = Shared(session.directory / f"counters-{session.number()}")
    yield from asyncio.run(_counters("LMDB", own, count))
    own.close()
    if missing() is not None:
        session.say(f"   not with Redis: {missing()}")
        return
    server = Redis()
    try:
        yield from asyncio.run(_redis(server.url, count))
    finally:
        server.remove()


# --- through the gateway ----------------------------------------------------------------------------------------------


def _requests(session: Session) -> Iterator[Figure]:
    with contextlib.ExitStack() as stack:
        instance = session.instance(stack)
        _serve(session, stack, instance)
        refused = [_revoked(instance, number) for number in range(session.rounds(20, 3))]
        yield median("keys: revoked, until every worker refuses it", refused, limit=REFUSED_WITHIN)
        yield from _compared(session, instance, "standalone")
    with contextlib.ExitStack() as stack:
        postgres, redis = shared.stores(stack)
        instance = shared.instance(session, stack, postgres.database(), redis.url)
        _serve(session, stack, instance)
        yield from _compared(session, instance, "distributed")


def _serve(session: Session, stack: contextlib.ExitStack, instance: Instance) -> None:
    url = session.provider(stack, ("one",)).url
    instance.add("one", url, "one")
    providers, line = instance.home / "config" / "providers.yaml", f"    base_url: {url}\n"
    providers.write_text(providers.read_text().replace(line, line + PRICED))
    instance.run("apply")


def _compared(session: Session, instance: Instance, mode: str) -> Iterator[Figure]:
    """In short rounds that take turns, so that what else the machine does hits both; and by what the worker uses of the
    processor for a request, which others at work disturb less."""
    seconds = 1.5
    whose = {"the master key": instance.key, "a limited key": _key(instance)}
    for key in whose.values():
        busy(instance.url, key, "one", 1.0)
    found: dict[str, list[float]] = {name: [] for name in whose}
    used: dict[str, list[float]] = {name: [] for name in whose}
    workers = instance.workers()
    for number in range(session.rounds(20, 5)):
        for name in list(whose) if number % 2 else reversed(whose):
            before = shared.cpu(workers)
            found[name].append(busy(instance.url, whose[name], "one", seconds))
            used[name].append((shared.cpu(workers) - before) / (found[name][-1] * seconds) * 1e3)
    for name in whose:
        yield median(f"keys: {mode}, requests with {name}, one worker", found[name], "req/s")
        yield median(f"keys: {mode}, its worker's CPU for one with {name}", used[name], "ms")
    (master, limited), (cheap, dear) = found.values(), used.values()
    shares = [one / other for one, other in zip(limited, master, strict=True)]
    detail = f"{len(shares)} rounds, {min(shares):.3f} to {max(shares):.3f}"
    name = f"keys: {mode}, a limited key, times the master key"
    yield Figure(name, middle(shares), "x", SHARE, at_least=True, detail=detail, samples=tuple(shares))
    yield Figure(f"{name}, by CPU", middle(cheap) / middle(dear), "x", SHARE, at_least=True)


def _key(instance: Instance, alias: str = "bench") -> str:
    return str(instance.run("keys", "create", "--alias", alias, *LIMITS).result["key"])


def _revoked(instance: Instance, number: int) -> float:
    """Seconds, as the receipt has them."""
    busy(instance.url, _key(instance, f"leaked {number}"), "one", 0.2)  # so that its worker knows it
    receipt = instance.run("keys", "revoke", f"leaked {number}").result["receipt"]
    return max(float(each["seconds"]) for each in receipt)


# --- in the counters --------------------------------------------------------------------------------------------------


async def _counters(name: str, counters: Counters, count: int, least: Client | None = None) -> list[Figure]:
    """One after the other. ``least``: for a bare count at the same place, which takes turns with them: a gateway does
    much else between two reservations, and both find the processor's caches as cold."""
    await counters.seed({METERS[-1].name: 0}, {METERS[-1].name: None})
    bare, reserving, settling = [], [], []
    for number in range(count):
        demand = Demand(id=f"{number}", owner="bench", meters=METERS, tokens=100, cost=1000)
        began = time.perf_counter()
        if least is not None:
            await least.incrby("bench", 1)
        counted = time.perf_counter()
        decision = await counters.reserve(demand)
        reserved = time.perf_counter()
        await counters.settle(demand.id, 100, 1000)
        bare.append((counted - began) * 1e6)
        reserving.append((reserved - counted) * 1e6)
        settling.append((time.perf_counter() - reserved) * 1e6)
        assert isinstance(decision, Granted)
    figures = [
        _spread(f"keys: {name}, a reservation in {len(METERS)} counters", reserving),
        _spread(f"keys: {name}, settling it", settling),
    ]
    if least is not None:
        figures.append(_spread(f"keys: {name}, INCRBY", bare))
        times = figures[0].value / figures[-1].value
        figures.append(Figure(f"keys: {name}, a reservation, times INCRBY", times, "x", TIMES, detail="in turns"))
    return figures


async def _redis(url: str, count: int) -> list[Figure]:
    """``INCRBY`` is what a counter takes that checks nothing, by the same driver on one connection."""
    from redis.asyncio import Redis as Client

    from aiops.state.counters.redis import Redis as RedisCounters

    client = Client.from_url(url)
    counters = RedisCounters(url, connect=1.0, command=1.0)
    try:
        found = await _counters("Redis", counters, count, client)
        alone, together = await _in_a_row(client, counters, count // 10)
    finally:
        await counters.close()
        await client.aclose()
    return [*found, Figure("keys: Redis, the same, each in a row of its own", together / alone, "x", detail="told")]


async def _in_a_row(client: Client, counters: Counters, count: int) -> tuple[float, float]:
    """Seconds of a bare count and of a reservation, each among its like: the caches are hot."""
    bare, reserving = [], []
    for _ in range(count):
        began = time.perf_counter()
        await client.incrby("bench", 1)
        bare.append(time.perf_counter() - began)
    for number in range(count):
        demand = Demand(id=f"row {number}", owner="bench", meters=ROW, tokens=100, cost=1000)
        began = time.perf_counter()
        await counters.reserve(demand)
        reserving.append(time.perf_counter() - began)
    return middle(bare), middle(reserving)


def _spread(name: str, samples: list[float]) -> Figure:
    """Too many to be listed each."""
    ordered = sorted(samples)
    detail = f"{len(samples):,}, one after the other; 99 in a hundred within {ordered[len(samples) * 99 // 100]:.0f} µs"
    return Figure(name, middle(ordered), "µs", detail=detail)
