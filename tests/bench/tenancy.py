"""What keys cost: requests per second with a limited, budgeted key against the master key's, and one reservation in
the counters that workers share, against the least that such a counter could take. And how soon a key is refused."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from statistics import median as middle

from aiops.state.counters.meters import Counters, Demand, Granted, Meter
from aiops.state.counters.shared import Shared
from tests.bench.figures import Figure, median
from tests.bench.gateways import Instance
from tests.bench.session import Session
from tests.bench.sizes import busy
from tests.kit.redis import Redis, missing

PLENTY = 10**9  # requests and tokens: all that a key of many is counted on, and nothing is refused
LIMITS = tuple(f"--rpm-limit {PLENTY} --tpm-limit {PLENTY} --max-parallel-requests 1000 --max-budget 1000000".split())
METERS = (
    Meter(name="key:k:rpm", what="requests", limit=PLENTY),
    Meter(name="key:k:tpm", what="tokens", limit=PLENTY),
    Meter(name="key:k:parallel", what="parallel", limit=1000),
    Meter(name="key:k:usd:0:ever:0", what="money", limit=10**18),
)
REFUSED_WITHIN = 1.0  # seconds
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
    """In short rounds that take turns, so that what else the machine does hits both."""
    seconds = 1.5
    with contextlib.ExitStack() as stack:
        instance = session.instance(stack)
        url = session.provider(stack, ("one",)).url
        instance.add("one", url, "one")
        providers, line = instance.home / "config" / "providers.yaml", f"    base_url: {url}\n"
        providers.write_text(providers.read_text().replace(line, line + PRICED))
        instance.run("apply")
        whose = {"the master key": instance.key, "a limited key": _key(instance)}
        for key in whose.values():
            busy(instance.url, key, "one", 1.0)
        refused = [_revoked(instance, number) for number in range(session.rounds(20, 3))]
        found: dict[str, list[float]] = {name: [] for name in whose}
        for number in range(session.rounds(15, 5)):
            for name in list(whose) if number % 2 else reversed(whose):
                found[name].append(busy(instance.url, whose[name], "one", seconds))
    yield median("keys: revoked, until every worker refuses it", refused, limit=REFUSED_WITHIN)
    for name, samples in found.items():
        yield median(f"keys: requests with {name}, one worker", samples, "req/s")
    master, limited = found.values()
    shares = [one / other for one, other in zip(limited, master, strict=True)]
    detail = f"{len(shares)} rounds, {min(shares):.3f} to {max(shares):.3f}; told, not promised"
    yield Figure("keys: a limited key, times the master key", middle(shares), "x", detail=detail, samples=tuple(shares))


def _key(instance: Instance, alias: str = "bench") -> str:
    return str(instance.run("keys", "create", "--alias", alias, *LIMITS).result["key"])


def _revoked(instance: Instance, number: int) -> float:
    """Seconds, as the receipt has them."""
    busy(instance.url, _key(instance, f"leaked {number}"), "one", 0.2)  # so that its worker knows it
    receipt = instance.run("keys", "revoke", f"leaked {number}").result["receipt"]
    return max(float(each["seconds"]) for each in receipt)


# --- in the counters --------------------------------------------------------------------------------------------------


async def _counters(name: str, counters: Counters, count: int, least: float | None = None) -> list[Figure]:
    """One after the other. ``least``: µs of a bare count at the same place."""
    await counters.seed({METERS[-1].name: 0}, {METERS[-1].name: None})
    demands = [Demand(id=f"{number}", owner="bench", meters=METERS, tokens=100, cost=1000) for number in range(count)]
    reserving, settling = [], []
    for demand in demands:
        began = time.perf_counter()
        decision = await counters.reserve(demand)
        reserved = time.perf_counter()
        await counters.settle(demand.id, 100, 1000)
        reserving.append((reserved - began) * 1e6)
        settling.append((time.perf_counter() - reserved) * 1e6)
        assert isinstance(decision, Granted)
    figures = [
        _spread(f"keys: {name}, a reservation in {len(METERS)} counters", reserving),
        _spread(f"keys: {name}, settling it", settling),
    ]
    if least is not None:
        figures.append(Figure(f"keys: {name}, a reservation, times INCRBY", figures[0].value / least, "x"))
    return figures


async def _redis(url: str, count: int) -> list[Figure]:
    """``INCRBY`` is what a counter takes that checks nothing, by the same driver on one connection."""
    from redis.asyncio import Redis as Client

    from aiops.state.counters.redis import Redis as RedisCounters

    client = Client.from_url(url)
    bare = []
    for _ in range(count):
        began = time.perf_counter()
        await client.incrby("bench", 1)
        bare.append((time.perf_counter() - began) * 1e6)
    await client.aclose()
    least = _spread("keys: Redis, INCRBY", bare)
    counters = RedisCounters(url, connect=1.0, command=1.0)
    try:
        return [least, *await _counters("Redis", counters, count, least.value)]
    finally:
        await counters.close()


def _spread(name: str, samples: list[float]) -> Figure:
    """Too many to be listed each."""
    ordered = sorted(samples)
    detail = f"{len(samples):,}, one after the other; 99 in a hundred within {ordered[len(samples) * 99 // 100]:.0f} µs"
    return Figure(name, middle(ordered), "µs", detail=detail)
