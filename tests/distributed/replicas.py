"""Gateways that share a Postgres and a Redis: the real command line and processes, each with a home of its own."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.kit.gateway import Gateway
from tests.kit.waiting import until

HELLO = "hello, says somebody who is counted for some tokens"  # no less than what the double says that it read
MINUTE = 60.0
PRICED = "    cost_per_1k_tokens: 1.0\n"  # a token of any model costs a tenth of a cent


def share(gateway: Gateway, database: str, redis: str, *, name: str = "box", profile: str = "dev") -> None:
    """Before the first `up`: the files as config/distributed has them, and the URLs as secrets."""
    gateway.init()
    written = f"deployment:\n  database_url_file: database_url\n  redis_url_file: redis_url\n  replica: {name}\n"
    mode = "mode: distributed\n\n" if name != "box-2" else ""  # one of them says it the long way
    written += "" if mode else "  mode: distributed\n"
    gateway.edit("aiops.yaml", "mode: standalone\n", mode + written)
    gateway.edit("aiops.yaml", "profile: dev\n", f"profile: {profile}\n")
    for name, url in (("database_url", database), ("redis_url", redis)):
        secret(gateway.home / "secrets" / name, url)


def secret(path: Path, text: str) -> Path:
    path.write_text(f"{text}\n")
    path.chmod(0o600)
    return path


def serve(gateway: Gateway, provider: str) -> None:
    """``provider`` as `one`, with the models `alpha` and `beta` and a price."""
    gateway.add("one", provider, "alpha", "beta")
    price(gateway, provider)
    gateway.must("apply")


def price(gateway: Gateway, provider: str) -> None:
    written = f"    base_url: {provider}\n"
    gateway.edit("providers.yaml", written, written + PRICED)


@contextmanager
def standalone(provider: str) -> Iterator[Gateway]:
    """One that shares nothing, with one worker and `provider` as those below have it."""
    gateway = Gateway()
    try:
        gateway.init()
        gateway.up()
        serve(gateway, provider)
        yield gateway
    finally:
        gateway.destroy()


@contextmanager
def replicas(
    many: int, database: str, redis: str, provider: str, *, one_master_key: bool = False, **options: str
) -> Iterator[list[Gateway]]:
    """Each with one worker, and `provider` as `one` with the models `alpha` and `beta`."""
    made = [Gateway() for _ in range(many)]
    try:
        for number, gateway in enumerate(made, 1):
            share(gateway, database, redis, name=f"box-{number}", **options)
            if one_master_key:
                secret(gateway.home / "secrets" / "master_key", made[0].key)
        made[0].must("database", "migrate")
        for gateway in made:
            gateway.must("up")
            serve(gateway, provider)
        yield made
    finally:
        for gateway in made:
            gateway.destroy()


def create(gateway: Gateway, *options: object) -> str:
    """A key, as it is shown once."""
    made = gateway.must("keys", "create", *options)
    return str(made["key"])


def ask(gateway: Gateway, key: str, client: httpx.Client | None = None, **more: Any) -> httpx.Response:
    body = {"model": "alpha", "messages": [{"role": "user", "content": HELLO}], "max_tokens": 4, **more}
    post = client.post if client is not None else httpx.post
    options: dict[str, Any] = {} if client is not None else {"trust_env": False}
    headers = {"authorization": f"Bearer {key}"}
    return post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers, timeout=30, **options)


@contextmanager
def asked_all_the_time(gateway: Gateway, key: str) -> Iterator[Counter[int]]:
    """By their statuses, each of three clients one after the other."""
    statuses: Counter[int] = Counter()
    over = threading.Event()

    def go_on() -> None:
        while not over.is_set():
            statuses[ask(gateway, key).status_code] += 1

    threads = [threading.Thread(target=go_on, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: statuses, 20, "a first answer")
        yield statuses
    finally:
        over.set()
        for thread in threads:
            thread.join(30)


def while_redis_decides(gateways: Sequence[Gateway], ask: Callable[[], Counter[int]]) -> Counter[int]:
    """What is asked within a minute in which none of them was without Redis. On a machine that is kept busy elsewhere
    Redis may get no processor for longer than a request waits for it; then each host counts for itself, as it shall."""
    for _ in range(3):
        before, began = _without_redis(gateways), time.monotonic()
        found = ask()
        if _without_redis(gateways) == before and time.monotonic() - began < MINUTE:
            return found
    raise AssertionError("this machine is too busy: in three tries Redis was lost, or they took a minute")


def _without_redis(gateways: Sequence[Gateway]) -> int:
    logs = [(gateway.home / "logs" / "gateway.log").read_text(errors="replace") for gateway in gateways]
    return sum(log.count(" cannot be used: ") for log in logs)
