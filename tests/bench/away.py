"""What requests notice of a Redis or a Postgres that is killed, frozen, or behind a cable that swallows everything: how
much longer the slowest one in a hundred takes, and how soon the store is used again once it is back:
Redis when a worker says so, Postgres when a key passes that no worker knew."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import httpx

from tests.bench import shared
from tests.bench.figures import Figure
from tests.bench.gateways import BenchError, Instance
from tests.bench.session import Session
from tests.kit.cable import Cable

CLIENTS = 4
EXTRA, RECOVERED = 0.050, 5.0  # seconds
LIMITS = ("--rpm-limit", "1000000000", "--max-budget", "1000000")
Way = tuple[Callable[[], object], Callable[[], object]]


def stores_away(session: Session) -> Iterator[Figure]:
    seconds = session.rounds(20, 12)
    with contextlib.ExitStack() as stack:
        postgres, redis = shared.stores(stack)
        to_postgres, to_redis = Cable(postgres.port), Cable(redis.port)
        stack.callback(to_postgres.remove)
        stack.callback(to_redis.remove)
        database = to_postgres.through(postgres.database())
        instance = shared.instance(session, stack, database, to_redis.through(redis.url))
        instance.add("one", session.provider(stack, ("one",)).url, "one")
        clients = _Clients(instance, _key(instance))
        unknown = [_key(instance) for _ in range(3)]  # to the worker: each is looked up in Postgres once
        stack.callback(clients.leave)
        ways: dict[tuple[str, str, str], Way] = {
            ("Redis", "killed", "redis"): (partial(redis.stop, signal.SIGKILL), redis.start),
            ("Redis", "frozen", "redis"): (redis.freeze, redis.thaw),
            ("Redis", "black-holed", "redis"): (to_redis.swallow, to_redis.mend),
            ("Postgres", "killed", "store"): (partial(postgres.stop, signal.SIGQUIT), postgres.start),
            ("Postgres", "frozen", "store"): (postgres.freeze, postgres.thaw),
            ("Postgres", "black-holed", "store"): (to_postgres.swallow, to_postgres.mend),
        }
        for (store, how, check), (away, back) in ways.items():
            before = clients.during(seconds)
            away()
            try:
                without = clients.during(seconds)
                found = _found_again(instance)
            finally:
                back()
            began = time.monotonic()
            if store == "Redis":
                _until(partial(_is_found_again, instance, found), f"{store} was not asked again")
            else:
                _until(partial(_asks, instance, unknown.pop()), f"{store} was not asked again")
            took = time.monotonic() - began
            _until(partial(_passes, instance, check), f"{check} did not come back")
            said = time.monotonic() - began
            name, (slow, usual) = f"stores away: {store} {how}", (_p99(without), _p99(before))
            detail = f"{len(without)} requests, {slow * 1e3:.0f} ms, before {usual * 1e3:.0f}; the slowest of all"
            detail += f" {max(without) * 1e3:.0f}, before {max(before) * 1e3:.0f}"
            yield Figure(f"{name}, more for the 99th in a hundred", slow - usual, "s", EXTRA, detail=detail)
            yield Figure(f"{name}, used again", took, "s", RECOVERED, detail=f"readiness says so after {said:.1f} s")
        if clients.failed:
            raise BenchError(f"requests failed: {clients.failed[:3]}")


def _key(instance: Instance) -> str:
    return str(instance.run("keys", "create", *LIMITS).result["key"])


def _found_again(instance: Instance) -> int:
    """How often a worker has said that Redis decides again. Readiness waits longer, the more so after a relapse."""
    lines = (instance.home / "logs" / "gateway.log").read_text(errors="replace").splitlines()
    return sum("answers again" in line and not line.startswith("accountant ") for line in lines)


def _is_found_again(instance: Instance, before: int) -> bool:
    return _found_again(instance) > before


def _asks(instance: Instance, key: str) -> bool:
    answer = httpx.get(
        f"{instance.url}/v1/models", headers={"authorization": f"Bearer {key}"}, timeout=30, trust_env=False
    )
    return answer.status_code == 200


def _passes(instance: Instance, check: str) -> bool:
    said = httpx.get(f"{instance.url}/_health/ready", trust_env=False).json()
    return bool(said["checks"].get(check) == "pass")


def _until(holds: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        if time.monotonic() > deadline:
            raise BenchError(otherwise)
        time.sleep(0.05)


def _p99(samples: list[float]) -> float:
    return sorted(samples)[len(samples) * 99 // 100]


class _Clients:
    """That ask one after the other, until they leave."""

    def __init__(self, instance: Instance, key: str) -> None:
        self.failed: list[str] = []
        self._seen: list[tuple[float, float]] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(instance.url, key)) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def during(self, seconds: float) -> list[float]:
        """How long those took that were asked within the next ``seconds``."""
        began = time.monotonic()
        time.sleep(seconds)
        ended = time.monotonic()
        time.sleep(1.0)  # the last ones are on their way
        return [took for at, took in list(self._seen) if began <= at < ended]

    def leave(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def _ask(self, url: str, key: str) -> None:
        body = json.dumps({"model": "one", "messages": [{"role": "user", "content": "hi"}]})
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        with httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False) as client:
            while not self._over.wait(0.02):
                began = time.monotonic()
                answer = client.post("/v1/chat/completions", content=body)
                self._seen.append((began, time.monotonic() - began))
                if answer.status_code != 200:
                    self.failed.append(answer.text[:200])
