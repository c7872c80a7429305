"""Requests of one key that end in every way there is, while what serves them is killed; and what the ledger and the
counters have to say afterwards. Its budget is so large that nothing may be refused."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
from sqlalchemy import Engine, select

from aiops.demo.child import DemoProvider
from aiops.gateway.shared import accounting
from aiops.state.store import tables
from aiops.state.store.open import reading
from tests.kit.gateway import Gateway
from tests.kit.waiting import until

PRICED = "    cost_per_1k_tokens: 1.0\n"
TOKEN = 1_000_000  # nano-dollars, by that price
BUDGET = "900000"  # dollars
AT_ONCE = 12
RECONNECTS = 3.0  # seconds, until every worker has heard of another accountant
QUIET = 60.0  # seconds, until whatever was under way is over
# The models: what the one provider serves, and what two others do wrong.
GOOD, BROKEN, CUT = "alpha", "broken", "cut"
WAYS = ("answer", "stream", "left", "left in a stream", "error", "cut", "retried", "retried with a key")


@contextmanager
def providers() -> Iterator[dict[str, DemoProvider]]:
    """By the model that each serves. They behave until ``misbehave``: a gateway would not take them else."""
    with (
        DemoProvider.double(models=(GOOD,)) as good,
        DemoProvider.double(models=(BROKEN,)) as broken,
        DemoProvider.double(models=(CUT,)) as cut,
    ):
        yield {GOOD: good, BROKEN: broken, CUT: cut}


def serve(gateway: Gateway, given: dict[str, DemoProvider]) -> None:
    """By a gateway that runs."""
    for model, provider in given.items():
        gateway.add(model, provider.url, model)
        written = f"    base_url: {provider.url}\n"
        gateway.edit("providers.yaml", written, written + PRICED)
    gateway.must("apply")


def misbehave(given: dict[str, DemoProvider]) -> None:
    given[GOOD].control(delay=0.05, chunk_delay=0.01)
    given[BROKEN].control(mode="500")
    given[CUT].control(mode="drop_mid_stream", chunk_delay=0.01)


@dataclass
class Endings:
    """``answered``: the tokens that the client of each request was told of. ``refused``: what must be empty.
    ``troubles``: from when to when somebody had just been killed, seconds since 1970. ``with_a_key``: the requests
    that were retried with an ``Idempotency-Key``."""

    many: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    answered: dict[str, int] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    troubles: list[tuple[float, float]] = field(default_factory=list)
    with_a_key: set[str] = field(default_factory=set)

    def was_troubled(self, row: Any) -> bool:
        """Whether its retry may have met a worker that could not know of the first."""
        began = row.started / 1e6
        return row.end_user in self.with_a_key and any(a - RECONNECTS < began < b for a, b in self.troubles)


class Clients:
    """Of ``gateways``, each request of one of them at random, until told to stop. ``seed`` says which, and how."""

    def __init__(self, gateways: Sequence[Gateway], key: str, seed: int) -> None:
        self.seen = Endings()
        self._urls = [f"{gateway.url}/v1/chat/completions" for gateway in gateways]
        self._key, self._dice, self._numbers = key, random.Random(seed), itertools.count()
        self._over = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Clients:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(QUIET)
        if self._error is not None:
            raise self._error

    def more(self, many: int) -> None:
        """Wait until so many more have ended."""
        before = self.seen.many
        until(lambda: self._error or self.seen.many >= before + many, 60 + many, f"{many} more endings")

    def _work(self) -> None:
        try:
            asyncio.run(self._everyone())
        except BaseException as error:
            self._error = error

    async def _everyone(self) -> None:
        limits = httpx.Limits(max_connections=4 * AT_ONCE)
        async with (
            httpx.AsyncClient(limits=limits, timeout=30, trust_env=False) as client,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(AT_ONCE):
                group.create_task(self._go_on(client))

    async def _go_on(self, client: httpx.AsyncClient) -> None:
        while not self._over.is_set():
            way = self._dice.choice(WAYS)
            try:
                await self._end(client, way)
            except httpx.ReadTimeout:
                raise  # nobody may wait for ever
            except httpx.HTTPError as error:
                self.seen.statuses[f"{way}: {type(error).__name__}"] += 1
                await asyncio.sleep(0.05)  # killed; it is there again soon
            self.seen.many += 1

    async def _end(self, client: httpx.AsyncClient, way: str) -> None:
        url = self._dice.choice(self._urls)
        name = f"e{next(self._numbers)}"
        match way:
            case "answer":
                await self._whole(client, url, name)
            case "stream":
                await self._stream(client, url, name, GOOD, pieces=None)
            case "left in a stream":
                await self._stream(client, url, name, GOOD, pieces=self._dice.randint(1, 6))
            case "left":
                await self._impatient(client, url, name)
            case "error":
                await self._whole(client, url, name, BROKEN)
            case "cut":
                await self._stream(client, url, name, CUT, pieces=None)
            case "retried":  # as a client that knows no better: the first may have had its effect
                await self._impatient(client, url, name)
                await self._whole(client, url, f"{name}-again")
            case "retried with a key":
                self.seen.with_a_key.add(name)
                await self._impatient(client, url, name, name)
                await self._whole(client, url, name, again=name)

    async def _whole(
        self, client: httpx.AsyncClient, url: str, name: str, model: str = GOOD, again: str | None = None
    ) -> None:
        answer = await client.post(url, json=_body(name, model), headers=self._headers(again))
        self._note(model, answer)
        if answer.status_code == 200:
            self.seen.answered[name] = answer.json()["usage"]["total_tokens"]

    async def _impatient(self, client: httpx.AsyncClient, url: str, name: str, again: str | None = None) -> None:
        """A time-out, before or after the answer has begun."""
        try:
            async with asyncio.timeout(self._dice.uniform(0.0, 0.12)):
                self._note("left", await client.post(url, json=_body(name), headers=self._headers(again)))
        except TimeoutError:
            self.seen.statuses["left: by its client"] += 1

    async def _stream(self, client: httpx.AsyncClient, url: str, name: str, model: str, *, pieces: int | None) -> None:
        body = _body(name, model) | {"stream": True}
        async with client.stream("POST", url, json=body, headers=self._headers(None)) as answer:
            if answer.status_code != 200:
                await answer.aread()
            self._note(f"{model} stream", answer)
            seen = 0
            async for line in answer.aiter_lines():
                seen += line.startswith("data:")
                if pieces is not None and seen >= pieces:
                    return

    def _headers(self, again: str | None) -> dict[str, str]:
        return {"authorization": f"Bearer {self._key}"} | ({"idempotency-key": again} if again else {})

    def _note(self, what: str, answer: httpx.Response) -> None:
        self.seen.statuses[f"{what}: {answer.status_code}"] += 1
        if 400 <= answer.status_code < 500:
            self.seen.refused.append(answer.text[:300])


def _body(name: str, model: str = GOOD) -> dict[str, object]:
    said = [{"role": "user", "content": f"this is {name}, which has to be counted once"}]
    return {"model": model, "messages": said, "max_tokens": 40, "user": name}


# --- afterwards -------------------------------------------------------------------------------------------------------


def require_exact(gateways: Sequence[Gateway], database: Engine, seen: Endings) -> None:
    """Nothing was refused; the ledger has each request once, with what its client was told; and the counters say what
    the ledger says, to the nano-dollar, with nothing reserved."""
    assert seen.refused == [], f"{len(seen.refused)} refused of {seen.many}"
    for gateway in gateways:
        until(partial(_at_rest, gateway), QUIET, "ledger = counters, and nothing reserved")
    columns = tables.usage.c
    with reading(database) as connection:
        rows = connection.execute(
            select(columns.end_user, columns.outcome, columns.cost, columns.id, columns.started)
        ).all()
    assert len({row.id for row in rows}) == len(rows)
    answers: dict[str, list[int]] = {}
    for row in rows:
        if row.outcome == "answered" and row.end_user:
            answers.setdefault(row.end_user, []).append(row.cost)
    # A worker without the accountant knows the retries of its own clients alone, as once.py says.
    twice = [row for row in rows if len(answers.get(row.end_user, ())) > 1 and not seen.was_troubled(row)]
    assert twice == [], "charged twice"
    told = {name: [tokens * TOKEN] for name, tokens in seen.answered.items()}
    single = {name: answers.get(name, [])[:1] for name in told}
    assert {name: cost for name, cost in single.items() if cost != told[name]} == {}


def _at_rest(gateway: Gateway) -> bool:
    """As far as another gateway's accountant is: one that had no database for a while waits before it tries again."""
    proved = gateway.cli("usage", "prove").data
    assert proved["budgets"], "nothing to prove"
    return bool(
        proved["ok"] and proved["ingested"] and all(each["reserved_nano_usd"] == 0 for each in proved["budgets"])
    )


# --- meanwhile --------------------------------------------------------------------------------------------------------

Kill = Callable[[], None]


def kills(gateways: Sequence[Gateway], seed: int) -> dict[str, Kill]:
    """By SIGKILL, and what is started anew by somebody is waited for; each time those of another gateway."""
    dice = random.Random(seed)
    return {kill.__name__: partial(_do, kill, gateways, dice) for kill in (kill_worker, kill_accountant, kill_master)}


def _do(kill: Callable[[Gateway], None], gateways: Sequence[Gateway], dice: random.Random) -> None:
    kill(dice.choice(gateways))


def kill_worker(gateway: Gateway) -> None:
    workers = until(gateway.workers, 60, "a worker")
    os.kill(workers[0], signal.SIGKILL)
    until(lambda: _are_others(gateway, workers), 60, "another worker")


def _are_others(gateway: Gateway, before: list[int]) -> bool:
    now = gateway.workers()
    return before[0] not in now and len(now) == len(before)


def kill_accountant(gateway: Gateway) -> None:
    state = gateway.home / "state"
    before = int(until(lambda: accounting.holder(state), 60, "an accountant"))
    os.kill(before, signal.SIGKILL)
    until(lambda: accounting.holder(state) not in (0, before), 60, "another accountant")


def kill_master(gateway: Gateway) -> None:
    os.kill(gateway.master, signal.SIGKILL)
    until(lambda: gateway.status["gateway"]["state"] == "degraded", 20, "the end of the master")
    gateway.must("up")


def play(clients: Clients, kills: dict[str, Kill], many: int, seed: int) -> Endings:
    """``many`` endings at least, and each of ``kills`` at least once meanwhile. What was seen."""
    dice, each = random.Random(seed), max(30, many // max(8, many // 250))
    with clients:
        clients.more(each)
        waiting: list[str] = []
        while clients.seen.many < many or waiting:
            if not waiting:
                waiting = dice.sample(sorted(kills), len(kills))
            began = time.time()
            kills[waiting.pop()]()
            clients.seen.troubles.append((began, time.time() + RECONNECTS))
            clients.more(each)
    return clients.seen
