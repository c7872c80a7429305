"""What gateways take that stand ready: memory, also for streams that are open; and how soon they answer after exec."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.bench.figures import Figure, median
from tests.bench.gateways import BenchError, Instance, environment, parent
from tests.bench.lanes import contenders, load, wire
from tests.bench.lanes.contenders import Contender
from tests.bench.session import Session

PER_STREAM, OF_STOCK = 100.0, 0.25  # kB; of its memory
START, START_OF_STOCK, KILLED = 1.0, 0.1, 3.0  # seconds; of its time; seconds
WAIT = 120.0


def memory(ours: Instance, stock: Contender) -> Iterator[Figure]:
    """Of a gateway whose only provider is asked directly."""
    mine, theirs = pss(ours.processes()), pss(stock.processes())
    yield Figure("lanes: memory, aiops without LiteLLM", mine / 1024, "MB", detail="all its processes, PSS")
    yield Figure("lanes: memory, stock litellm", theirs / 1024, "MB", detail="PSS")
    yield Figure("lanes: memory, aiops to stock", mine / theirs, "x", OF_STOCK)


def many_streams(session: Session, ours: Contender) -> Iterator[Figure]:
    """A thousand at once, on one worker."""
    count = session.rounds(1_000, 300)
    prompt = ours.request(wire.prompt(200, 1, 50_000 if not session.quick else 20_000), stream=True)
    few = ours.request(wire.prompt(20, 1, 1_000), stream=True)
    load.run(load.together(ours.port, few, 32, lambda: None))  # a thousand would leave behind what is measured next
    before, meanwhile = pss(ours.processes()), 0.0

    def look() -> None:
        nonlocal meanwhile
        meanwhile = pss(ours.processes())

    answers = load.run(load.together(ours.port, prompt, count, look))
    whole = sum(answer.ok and answer.events == 201 for answer in answers.all)
    yield Figure(f"lanes: {count:,} streams at once, memory for one", (meanwhile - before) / count, "kB", PER_STREAM)
    yield Figure(f"lanes: {count:,} streams at once, cut", count - whole, "", 0)


def cold_start(session: Session, core: int, instance: Instance, ours: Contender, stock: Contender) -> Iterator[Figure]:
    """From exec to the first answer, in turns; and after everything was killed. Stops both for good."""
    programs = {one.name: Program.of(one) for one in (ours, stock)}
    instance.run("down")
    programs[stock.name].end()
    times: dict[str, list[float]] = {name: [] for name in programs}
    with contenders.on_core(core):
        for _ in range(session.rounds(5, 1)):
            for one in (ours, stock):
                times[one.name].append(programs[one.name].start(one))
                programs[one.name].end()
    for name, limit in ((ours.name, START), (stock.name, None)):
        yield median(f"lanes: cold start, exec to the first answer, {name}", times[name], limit=limit)
    share = (
        sorted(times[ours.name])[len(times[ours.name]) // 2] / sorted(times[stock.name])[len(times[stock.name]) // 2]
    )
    yield Figure("lanes: cold start, direct to stock", share, "x", START_OF_STOCK)
    instance.run("up")
    killed = []
    for _ in range(session.rounds(3, 1)):
        for pid in instance.processes():
            os.kill(pid, signal.SIGKILL)
        began = time.perf_counter()
        with contenders.on_core(core), subprocess.Popen(up(instance), env=environment(), **QUIET) as process:
            killed.append(until_answered(ours, began))
            process.wait()
    yield median("lanes: kill -9 of everything, `aiops up` to the first answer", killed, limit=KILLED)


QUIET: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def up(instance: Instance) -> list[str]:
    return [sys.executable, "-m", "aiops", "--home", str(instance.home), "--yes", "up"]


class Program:
    """A running gateway's own command line, to be executed again as whatever supervises it would."""

    def __init__(self, words: Sequence[str], directory: str, variables: dict[str, str]) -> None:
        self._words = words
        self._directory = directory
        self._variables = variables
        self._pid = 0

    @classmethod
    def of(cls, contender: Contender) -> Program:
        """Of its first process, which the others are children of."""
        everyone = set(contender.processes())
        [pid] = [each for each in everyone if parent(each) not in everyone]
        place = Path(f"/proc/{pid}")
        variables = dict(
            entry.decode().split("=", 1) for entry in (place / "environ").read_bytes().split(b"\0") if b"=" in entry
        )
        words = [word.decode() for word in (place / "cmdline").read_bytes().split(b"\0")[:-1]]
        found = cls(words, str((place / "cwd").readlink()), variables)
        found._pid = pid
        return found

    def start(self, contender: Contender) -> float:
        """Seconds until it answers."""
        began = time.perf_counter()
        self._process = subprocess.Popen(self._words, cwd=self._directory, env=self._variables, **QUIET)
        self._pid = self._process.pid
        return until_answered(contender, began)

    def end(self) -> None:
        """And wait for it."""
        try:
            os.kill(self._pid, signal.SIGTERM)
            while True:
                os.kill(self._pid, 0)
                time.sleep(0.05)
                os.waitpid(self._pid, os.WNOHANG)
        except OSError:
            return


def until_answered(contender: Contender, began: float) -> float:
    """Seconds since ``began``, perf_counter's. Raises BenchError."""
    request = contender.request()
    while not contenders.answers(contender.port, request):
        if time.perf_counter() - began > WAIT:
            raise BenchError(f"{contender.name} does not answer")
        time.sleep(0.005)
    return time.perf_counter() - began


def pss(pids: Sequence[int]) -> float:
    """kB, shared pages by how many share them (proc(5), smaps_rollup)."""
    found = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        found += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return found
