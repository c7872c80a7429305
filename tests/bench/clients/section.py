"""Section `clients`: what a request and a piece of a stream cost with each HTTP client that is installed, in turns.

Those that are not: `uv pip install --python .venv/bin/python niquests pycurl pyreqwest pyqwest httpunk`, best
in another checkout. What was found is in docs/decisions/0041.
"""

from __future__ import annotations

import asyncio
import importlib.util
import statistics
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack

import uvloop

from tests.bench.clients.asked import AT_ONCE, Once
from tests.bench.clients.candidates import CLIENTS
from tests.bench.clients.replying import PIECES, replying
from tests.bench.figures import Figure
from tests.bench.session import Session


def clients(session: Session) -> Iterator[Figure]:
    """Microseconds of processor time of the client's process, its threads included; the server is another process."""
    installed = [name for name in CLIENTS if name == "aiops" or importlib.util.find_spec(name)]
    if missing := [name for name in CLIENTS if name not in installed]:
        session.say(f"  not installed, so not measured: {', '.join(missing)}")
    with replying() as url, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        costs = runner.run(measure(installed, url, session.rounds(7, 2), session.rounds(1000, 100)))
    for name, (one, burst, single) in costs.items():
        yield figure(f"clients: {name}, a request", one)
        yield figure(f"clients: {name}, a piece of {PIECES} that came together", [b / PIECES for b in burst])
        yield figure(f"clients: {name}, a piece that came alone", [s / PIECES for s in single])


def figure(name: str, seconds: list[float]) -> Figure:
    micro = [each * 1e6 for each in seconds]
    return Figure(name, statistics.median(micro), "µs", detail=f"{min(micro):.3g} to {max(micro):.3g}")


async def measure(names: list[str], url: str, rounds: int, requests: int) -> dict[str, list[list[float]]]:
    costs: dict[str, list[list[float]]] = {name: [[], [], []] for name in names}
    async with AsyncExitStack() as stack:
        once = {name: await stack.enter_async_context(CLIENTS[name]()) for name in names}
        for number in range(rounds + 1):
            for name in names:
                for kind, path in enumerate(("one", "burst", "single")):
                    count = requests if path == "one" else max(AT_ONCE, requests // 20)
                    cost = await cpu(once[name], f"{url}/{path}", count)
                    if number:  # the first round connects and imports
                        costs[name][kind].append(cost)
    return costs


async def cpu(once: Once, url: str, requests: int) -> float:
    """Seconds of processor time for each of ``requests``, ``AT_ONCE`` of them at the same time."""
    left = iter(range(requests))

    async def worker() -> None:
        for _ in left:
            assert await once(url), "an empty answer"

    began = time.process_time()
    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return (time.process_time() - began) / requests
