"""Each request is in the ledger once, and the counters say the same, whoever is killed when: without LiteLLM."""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from aiops.gateway.shared import accounting
from aiops.gateway.shared.accounting import Changed
from aiops.gateway.worker.accountant import Accountant
from aiops.state.store import changes, keys, replicas
from aiops.state.store.open import BUSY_SECONDS, reading, writing
from aiops.state.store.rows import BudgetLimit
from aiops.state.usage import spooled
from tests.faults.books import HASH, Books, books
from tests.kit.waiting import until


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Books]:
    with books(tmp_path) as made:
        yield made


def asked(here: Books, more: int) -> None:
    """Wait until workers have answered so many more."""
    before = len(here.did()[1])
    until(lambda: len(here.did()[1]) >= before + more, 30, f"{more} more requests")


def asks(here: Books, worker: subprocess.Popen[bytes]) -> None:
    """Wait until this one has begun to."""
    until(lambda: any(file.pid == worker.pid for file in spooled.files(here.state)), 20, "a request of this worker")


def is_exact(here: Books) -> None:
    """The ledger and the counters, once all that was written is entered."""
    until(here.quiet, 20, "all that was written in the ledger")
    here.require_exact()


def begins_with_other_counters(here: Books) -> None:
    """They are lost, and what they are told is right."""
    shutil.rmtree(here.state / "counters")
    here.serving()
    worker = here.worker()
    asked(here, 100)
    here.end(worker, signal.SIGTERM)
    is_exact(here)


@pytest.mark.parametrize("seed", [1, 2])
def test_workers_and_accountants_that_are_killed_at_random_lose_and_double_nothing(here: Books, seed: int) -> None:
    dice = random.Random(seed)
    accountant = here.serving()
    workers = [here.worker(), here.worker()]
    asked(here, 50)
    for _ in range(6):
        asked(here, dice.randint(1, 150))
        victims = dice.choice(("worker", "accountant", "both"))
        if victims != "accountant":
            number = dice.randrange(len(workers))
            here.end(workers[number])
            workers[number] = here.worker()
        if victims != "worker":
            here.end(accountant)
            accountant = here.accountant()
    asked(here, 50)
    here.end(workers[0])
    until(lambda: here.listens(workers[1], signal.SIGTERM), 20, "the last one has begun")
    assert here.end(workers[1], signal.SIGTERM) == 0
    until(here.quiet, 20, "all that was written in the ledger")
    assert len(here.ledger()) > 400
    assert any(outcome == "lost" for _, outcome, _ in here.ledger()), "nobody was killed in the middle of a request"
    here.require_exact()


def test_counters_that_are_lost_are_told_what_the_ledger_says(here: Books) -> None:
    accountant = here.serving()
    worker = here.worker()
    asked(here, 100)
    here.end(worker)
    here.end(accountant, signal.SIGTERM)
    begins_with_other_counters(here)


def test_a_budget_that_is_given_later_has_all_of_its_window_also_what_is_under_way(here: Books) -> None:
    """Money that the ledger has counts; so does what is asked by workers that do not know of the budget, or of one of
    several, yet; also when the counters are lost after that, or the budget is given while there are none."""
    accountant = here.serving()
    here.give(max_budget=None, budget_duration=None, rpm_limit=10**6)
    ignorant = here.worker()
    asks(here, ignorant)
    here.give(max_budget=10**12)
    one = here.worker()
    asks(here, one)
    here.give(budget_limits=(BudgetLimit(10**12, "7d"), BudgetLimit(10**12, "1mo")))
    several = here.worker()
    asks(here, several)
    asked(here, 100)
    for worker in (ignorant, one, several):
        here.end(worker, signal.SIGTERM)
    until(here.quiet, 20, "all that was written in the ledger")
    assert len(here.levels()) == 3
    here.require_exact()
    here.end(accountant, signal.SIGTERM)
    begins_with_other_counters(here)


def test_a_budget_that_was_away_for_a_while_has_what_was_spent_meanwhile(here: Books) -> None:
    here.serving()
    worker = here.worker()
    asked(here, 50)
    here.end(worker, signal.SIGTERM)
    here.give(max_budget=None, budget_duration=None, rpm_limit=10**6)
    ignorant = here.worker()
    asks(here, ignorant)
    asked(here, 50)
    here.give(max_budget=10**12, budget_duration="30d")
    worker = here.worker()
    asks(here, worker)
    asked(here, 50)
    for each in (ignorant, worker):
        here.end(each, signal.SIGTERM)
    until(here.quiet, 20, "all that was written in the ledger")
    here.require_exact()


def test_a_backup_that_holds_the_database_for_a_while_loses_nothing(here: Books) -> None:
    here.serving()
    worker = here.worker()
    asked(here, 20)
    backup = sqlite3.connect(here.state / "aiops.db", isolation_level=None)
    backup.execute("BEGIN EXCLUSIVE")
    before = len(here.ledger())
    asked(here, 100)
    time.sleep(BUSY_SECONDS + 1)  # longer than a writer waits for its turn
    assert len(here.ledger()) == before, "the backup was in the way"
    backup.execute("ROLLBACK")
    backup.close()
    here.end(worker, signal.SIGTERM)
    is_exact(here)


def test_told_to_end_it_writes_what_is_there(here: Books) -> None:
    accountant = here.serving()
    worker = here.worker()
    asked(here, 50)
    here.end(worker, signal.SIGTERM)
    assert here.end(accountant, signal.SIGTERM) == 0
    assert here.quiet()
    assert not here.socket.exists()
    here.require_exact()


def test_what_was_written_while_there_was_no_accountant_is_in_the_ledger_when_there_is(here: Books) -> None:
    accountant = here.serving()
    worker = here.worker()
    asked(here, 20)
    here.end(accountant)
    asked(here, 200)
    here.end(worker)
    assert spooled.files(here.state)
    here.serving()
    is_exact(here)


def test_of_several_accountants_that_start_at_once_one_is_left(here: Books) -> None:
    here.serving()
    worker = here.worker()
    asked(here, 20)
    crowd = [here.accountant() for _ in range(3)]

    def left() -> list[subprocess.Popen[bytes]]:
        return [process for process in crowd if process.poll() is None]

    until(lambda: len(left()) == 1 and accounting.holder(here.state) == left()[0].pid, 30, "one of them")
    until(here.socket.exists, 20, "its socket")
    assert {process.returncode for process in here.running if process is not worker} <= {0, None}
    asked(here, 20)
    here.end(worker, signal.SIGTERM)
    is_exact(here)


def test_what_another_program_changes_in_the_database_is_told_and_noted_when_all_have_applied_it(here: Books) -> None:
    here.serving()

    async def change() -> None:
        told: list[Changed] = []
        worker = Accountant(here.run, 7, "http://here", told.append)
        connected = asyncio.create_task(worker.stay_connected())
        found, _ = await worker.identity(HASH)
        assert found is not None
        with writing(here.engine) as connection:
            row = keys.get(connection, "k1")
            assert row is not None
            keys.replace(connection, replace(row, blocked=True))
            seq = changes.newest(connection)
        async with asyncio.timeout(20):
            while not told or told[-1].seq < seq:
                await asyncio.sleep(0.01)
        assert told[-1].hashes == (HASH,), "and no other key's"
        found, known = await worker.identity(HASH)
        assert found is not None
        assert (found.accounts[0].blocked, known >= seq) == (True, True)
        async with asyncio.timeout(20):
            while not (seen := applied(here)) or seen[0] < seq:
                await asyncio.sleep(0.01)
        assert seen == (seq, 7, "http://here")
        connected.cancel()

    asyncio.run(change())


def applied(here: Books) -> tuple[int, int, str] | None:
    """How far this gateway is, as the others see it."""
    with reading(here.engine) as connection:
        return next(((each.applied_seq, each.generation, each.url) for each in replicas.live(connection, 60)), None)


def test_one_that_hangs_is_ended_by_the_next_one(here: Books) -> None:
    before = here.serving()
    before.send_signal(signal.SIGSTOP)
    here.serving()
    assert before.wait(20) == -signal.SIGKILL
