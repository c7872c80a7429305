"""How long a gateway takes to start, with LiteLLM imported whole and with its management routers put off, in turns."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator

import httpx

from tests.bench.figures import Figure, median
from tests.bench.gateways import BenchError, Instance, answers, environment
from tests.bench.session import Session

WAYS = {"whole": {"AIOPS_GATEWAY_WHOLE_IMPORT": "1"}, "put off": {"AIOPS_GATEWAY_WHOLE_IMPORT": "0"}}
IMPORT = """
from aiops.gateway.worker import runtime
runtime.prepare_environment()
with runtime.without_collection():
    runtime.load()
"""
PROGRAMS = {"import": ("-c", IMPORT), "exec to a mocked answer": ("-m", "aiops.gateway", "--check")}

Samples = dict[tuple[str, str, str], list[float]]


def start(session: Session) -> Iterator[Figure]:
    """Processor seconds are steadier than seconds: those of the import are what is judged."""
    samples: Samples = defaultdict(list)
    for _ in range(session.rounds(5, 2)):
        for way, variables in WAYS.items():
            for name, words in PROGRAMS.items():
                cpu, wall = timed(words, variables)
                samples[name, "CPU", way].append(cpu)
                samples[name, "wall", way].append(wall)
    with contextlib.ExitStack() as stack:
        upstream = session.provider(stack, ("one",))
        instances = {}
        for way, variables in WAYS.items():
            instance = Instance(session.directory / f"home-{session.number()}", variables=variables)
            stack.callback(instance.stop)
            instance.create()
            instance.start()
            instance.add("one", upstream.url, "one")
            instances[way] = instance
        for instance in instances.values():
            instance.run("down")
        for _ in range(session.rounds(3, 1)):
            for way, instance in instances.items():
                samples["up", "wall", way].append(instance.run("up").seconds)
                samples["restart", "wall", way].append(instance.run("restart").seconds)
                samples["kill -9 until it answers", "wall", way].append(crash(instance))
                instance.run("down")
    for name, unit in dict.fromkeys((name, unit) for name, unit, _ in samples):
        figures = [median(f"start: {name}, {unit}, {way}", samples[name, unit, way]) for way in WAYS]
        yield from figures
        limit = 0.85 if (name, unit) == ("import", "CPU") else None
        yield Figure(f"start: {name}, {unit}, put off to whole", figures[1].value / figures[0].value, "x", limit)


def timed(words: tuple[str, ...], variables: dict[str, str]) -> tuple[float, float]:
    """Seconds of processor and of the clock that a Python with these words takes."""
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment() | variables
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise BenchError(f"python {' '.join(words)}: exit {process.returncode}")
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - began


def crash(instance: Instance) -> float:
    """Kill the master and its workers, and start the gateway again. Seconds until a model answers."""
    began = time.perf_counter()
    for pid in instance.processes():
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    instance.run("up")
    headers = {"authorization": f"Bearer {instance.key}"}
    with httpx.Client(base_url=instance.url, headers=headers, timeout=10, trust_env=False) as client:
        if not answers(client, "one"):
            raise BenchError("the gateway did not come back after it was killed")
    return time.perf_counter() - began
