"""An accountant and workers that write, each a process of its own, and what the ledger and the counters say of them."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import func, select

from aiops.gateway.shared import accounting
from aiops.state import rules
from aiops.state.administration import journal
from aiops.state.counters.meters import Level
from aiops.state.counters.shared import Shared
from aiops.state.store import identity, keys, schema, tables
from aiops.state.store.open import engine, reading, writing
from aiops.state.store.rows import Key
from aiops.state.usage import spooled
from tests.kit.waiting import until

ROOT = Path(__file__).resolve().parents[2]
SHOWN = "sk-of-the-tests-0123456789"
HASH = hashlib.sha256(SHOWN.encode()).hexdigest()
MODEL = "alpha"


@dataclass
class Books:
    """``home`` has the directories ``state`` and ``run``, and what workers say they did."""

    home: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for directory in (self.state, self.run):
            directory.mkdir(mode=0o700)
        self.engine = engine(self.state / "aiops.db")
        schema.migrate(self.engine)
        with writing(self.engine) as connection:
            key = Key(id="k1", name="sk-...6789", max_budget=10**12, budget_duration="30d")
            keys.add(connection, key, HASH)

    @property
    def state(self) -> Path:
        return self.home / "state"

    @property
    def run(self) -> Path:
        return self.home / "run"

    @property
    def log(self) -> str:
        return (self.home / "log").read_text()

    # --- processes --------------------------------------------------------------------------------------------

    def accountant(self) -> subprocess.Popen[bytes]:
        """One more, whether there is one or not."""
        places = ("--state", str(self.state), "--run", str(self.run), "--secrets", str(self.home))
        return self._start("aiops.gateway.accountant", *places)

    def serving(self) -> subprocess.Popen[bytes]:
        """One more, that answers by now."""
        process = self.accountant()
        until(lambda: accounting.holder(self.state) == process.pid and self.socket.exists(), 20, "an accountant")
        return process

    def worker(self) -> subprocess.Popen[bytes]:
        """That asks for itself, for as long as it lives."""
        return self._start("tests.faults.scribe", str(self.state), str(self.run), HASH)

    @property
    def socket(self) -> Path:
        return self.run / accounting.SOCKET

    def _start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.home / "log").open("ab") as log, (self.home / "did").open("ab") as did:
            argv = [sys.executable, "-m", module, *arguments]
            process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=did, stderr=log)
        self.running.append(process)
        return process

    @staticmethod
    def listens(process: subprocess.Popen[bytes], number: int) -> bool:
        """It has begun so far that this signal does not just end it."""
        said = Path(f"/proc/{process.pid}/status").read_text()
        caught = next(line for line in said.splitlines() if line.startswith("SigCgt:"))
        return bool(int(caught.split()[1], 16) >> (number - 1) & 1)

    def end(self, process: subprocess.Popen[bytes], number: int = signal.SIGKILL) -> int:
        with_it = process.poll()
        if with_it is None:
            os.kill(process.pid, number)
        return process.wait(20)

    # --- what was done, and what is known of it ---------------------------------------------------------------

    def did(self) -> tuple[set[str], dict[str, int]]:
        """By what workers have said themselves: the ids that were let in, and what those cost that have ended."""
        accepted: set[str] = set()
        ended: dict[str, int] = {}
        for line in (self.home / "did").read_text().splitlines():
            match line.split():
                case ["accepted", id]:
                    accepted.add(id)
                case ["ended", id, cost]:
                    ended[id] = int(cost)
        return accepted, ended

    def ledger(self) -> list[tuple[str, str, int]]:
        """Id, outcome and cost of each row."""
        columns = tables.usage.c
        with reading(self.engine) as connection:
            return [tuple(row) for row in connection.execute(select(columns.id, columns.outcome, columns.cost))]

    def rolled_up(self) -> tuple[int, int]:
        """Requests and cost by the sums by day."""
        columns = tables.usage_daily.c
        with reading(self.engine) as connection:
            row = connection.execute(select(func.sum(columns.requests), func.sum(columns.cost))).one()
            return int(row[0] or 0), int(row[1] or 0)

    def give(self, **budgets: object) -> None:
        """The key has other budgets from now on."""
        with writing(self.engine) as connection:
            row = keys.get(connection, "k1")
            assert row is not None
            journal.change(connection, row, budgets, journal.Actor("tests", "tests"), "keys update")

    def levels(self) -> tuple[Level, ...]:
        """Of the key's budgets, in the counters."""
        import time

        with reading(self.engine) as connection:
            who = identity.by_id(connection, "k1")
        assert who is not None
        shared = Shared(self.state / "counters")
        try:
            meters = [each for each in rules.counts(who, MODEL, time.time()).meters if each.what == "money"]
            return asyncio.run(shared.levels(meters))
        finally:
            shared.close()

    def quiet(self) -> bool:
        """All that was written is in the ledger, and nobody writes any more."""
        return not spooled.files(self.state)

    def require_exact(self) -> None:
        """Each request once; what it cost, as its worker said; and the counters say what the ledger says."""
        accepted, ended = self.did()
        rows = self.ledger()
        times = Counter(id for id, _, _ in rows)
        assert {id: n for id, n in times.items() if n > 1} == {}
        assert accepted - times.keys() == set(), "let in, and not in the ledger"
        by_id = {id: (outcome, cost) for id, outcome, cost in rows}
        assert {id: by_id[id] for id in ended if by_id[id] != ("answered", ended[id])} == {}
        # Killed in the middle: lost, or settled by the accountant, and nothing else.
        rest = {id: row for id, row in by_id.items() if id not in ended}
        assert {id: row for id, row in rest.items() if row != ("lost", 0) and row[0] != "answered"} == {}
        spent = sum(cost for _, _, cost in rows)
        assert (daily := self.rolled_up()) == (len(rows), spent), f"{daily} of {(len(rows), spent)}"
        for level in self.levels():
            assert (level.reserved, level.used) == (0, spent), f"counters: {level}; ledger: {spent}"


@contextmanager
def books(home: Path) -> Iterator[Books]:
    made = Books(home)
    try:
        yield made
    finally:
        for process in made.running:
            made.end(process)
        made.engine.dispose()
