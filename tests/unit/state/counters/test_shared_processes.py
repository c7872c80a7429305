"""Several processes and one file: no request too many, and no lock that a killed one keeps."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aiops.state.counters.meters import Demand, Granted, Meter, Refused
from aiops.state.counters.shared import Shared
from tests.kit.counters.clock import SECOND, Clock

FORK = multiprocessing.get_context("fork")
RPM = Meter(name="key:K:rpm", what="requests", limit=60)
TPM = Meter(name="key:K:tpm", what="tokens", limit=10**9)
PARALLEL = Meter(name="key:K:parallel", what="parallel", limit=10**6)
USD = Meter(name="key:K:usd:0", what="money", limit=10**12)


def started(work: Callable[..., None], *arguments: Any) -> Any:
    process = FORK.Process(target=work, args=arguments, daemon=True)
    process.start()
    return process


def ask_through_a_minute(directory: Path, share: int, of: int, passed: Any) -> None:
    """600 requests in a minute are said by all together, each with the same clock."""
    clock = Clock()
    counters = Shared(directory, size=1 << 20, clock=clock)

    async def all_of_them() -> None:
        start = clock.micros
        for number in range(share, 600, of):
            clock.micros = start + number * SECOND // 10
            demand = Demand(id=f"{number}", owner=f"w{share}", meters=[RPM])
            if isinstance(await counters.reserve(demand), Granted):
                with passed.get_lock():
                    passed.value += 1

    asyncio.run(all_of_them())
    os._exit(0)


def test_of_600_requests_in_a_minute_60_pass_through_four_workers(tmp_path: Path) -> None:
    passed = FORK.Value("i", 0)
    workers = [started(ask_through_a_minute, tmp_path, share, 4, passed) for share in range(4)]
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert passed.value == 60


def stand_in(directory: Path, begin_now: Any, told: Any) -> None:
    counters = Shared(directory, size=1 << 20)
    begin_now.wait(60)

    async def begin() -> str:
        await counters.stand_in()
        return await counters.epoch()

    told.put(asyncio.run(begin()))


def test_an_epoch_that_one_process_begins_is_known_to_the_others(tmp_path: Path) -> None:
    begin_now, told = FORK.Event(), FORK.Queue()
    other = started(stand_in, tmp_path, begin_now, told)  # first: no process inherits an open one
    watch = Shared(tmp_path, size=1 << 20)
    before = asyncio.run(watch.epoch())
    begin_now.set()
    begun = told.get(timeout=60)
    other.join(60)
    assert before != begun == asyncio.run(watch.epoch())
    asyncio.run(watch.seed({USD.name: 5}, {USD.name: None}, begun))
    (level,) = asyncio.run(watch.levels([USD]))
    assert level.used == 5


def hammer(directory: Path, name: str, spent: Any) -> None:
    """Until it is killed. ``spent``: what it has settled, as far as it could still say so."""
    counters = Shared(directory, size=1 << 20)
    dice = random.Random(name)

    async def forever() -> None:
        number = 0
        while True:
            id = f"{name}-{number}"
            number += 1
            meters = [TPM, PARALLEL, USD]
            await counters.reserve(Demand(id=id, owner=name, meters=meters, tokens=10, cost=10))
            ending = dice.random()
            if ending < 0.6:
                await counters.settle(id, 5, 7)
                spent.value += 7  # ours alone
            elif ending < 0.9:
                await counters.void(id)
            if not number % 50:
                await counters.alive(name)

    asyncio.run(forever())


def test_killed_at_any_moment_no_process_leaves_a_lock_or_a_wrong_sum(tmp_path: Path) -> None:
    watch = Shared(tmp_path, size=1 << 20)
    asyncio.run(watch.seed({USD.name: 0}, {USD.name: None}))
    watch.close()  # no process inherits an open one
    dice, all_spent, names = random.Random(7), [], []
    running: list[tuple[Any, Any]] = []
    for number in range(24):
        spent = FORK.Value("q", 0, lock=False)
        name = f"p{number}"
        running.append((started(hammer, tmp_path, name, spent), spent))
        names.append(name)
        all_spent.append(spent)
        if len(running) == 4:
            time.sleep(dice.uniform(0.02, 0.1))
            process, _ = running.pop(dice.randrange(4))
            os.kill(process.pid, signal.SIGKILL)
            process.join(30)
    for process, _ in running:
        os.kill(process.pid, signal.SIGKILL)
        process.join(30)

    watch = Shared(tmp_path, size=1 << 20)

    async def afterwards() -> tuple[int, int, int]:
        for name in names:
            await watch.gone(name)
        tokens, parallel, money = await watch.levels([TPM, PARALLEL, USD])
        assert (tokens.reserved, parallel.used, money.reserved) == (0, 0, 0)
        granted = await watch.reserve(Demand(id="next", owner="watch", meters=[TPM, PARALLEL, USD], cost=1))
        assert isinstance(granted, Granted)
        await watch.void("next")
        return tokens.used, parallel.used, money.used

    tokens, _, money = asyncio.run(afterwards())
    known = sum(spent.value for spent in all_spent)
    assert known > 0
    # Each may have been killed after a settlement and before it could say so.
    assert money in range(known, known + 7 * len(names) + 1)
    assert tokens * 7 == money * 5
    watch.close()


def test_what_was_counted_is_there_after_a_restart_of_all(tmp_path: Path) -> None:
    clock = Clock()
    first = Shared(tmp_path, size=1 << 20, clock=clock)
    epoch = asyncio.run(first.epoch())
    for number in range(60):
        asyncio.run(first.reserve(Demand(id=f"{number}", owner="w", meters=[RPM])))
    first.close()
    second = Shared(tmp_path, size=1 << 20, clock=clock)
    assert asyncio.run(second.epoch()) == epoch
    assert isinstance(asyncio.run(second.reserve(Demand(id="more", owner="w", meters=[RPM]))), Refused)
    second.close()


def test_counters_that_were_opened_before_the_fork_are_refused(tmp_path: Path) -> None:
    counters = Shared(tmp_path, size=1 << 20)

    def child() -> None:
        try:
            asyncio.run(counters.epoch())
            asyncio.run(counters.alive("child"))
        except RuntimeError:
            os._exit(7)
        os._exit(0)

    process = started(child)
    process.join(30)
    assert process.exitcode == 7
    counters.close()


@pytest.mark.parametrize("owner", ["w"])
def test_what_another_process_opened_while_it_was_new_is_the_same(tmp_path: Path, owner: str) -> None:
    """Workers that start together make one file."""
    epochs = FORK.Queue()

    def child() -> None:
        epochs.put(asyncio.run(Shared(tmp_path, size=1 << 20).epoch()))

    processes = [started(child) for _ in range(6)]
    said = {epochs.get(timeout=30) for _ in processes}
    for process in processes:
        process.join(30)
    assert len(said) == 1
