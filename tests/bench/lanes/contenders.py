"""The gateways that are compared. Each runs on the processor core that is given to it, with what it starts."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.gateways import BenchError, Instance, environment
from tests.bench.lanes import load, wire
from tests.bench.session import Session
from tests.bench.tenancy import LIMITS, PRICED

AIOPS, AIOPS_LITELLM, STOCK = "aiops, direct", "aiops, litellm", "stock litellm"
PASSING = "bare pass-through"
READY_SECONDS = 60.0


@dataclass(frozen=True)
class Contender:
    """``processes``: all that work for it, by id."""

    name: str
    port: int
    headers: tuple[tuple[str, str], ...]
    processes: Callable[[], Sequence[int]]
    is_peer: bool = False

    def request(self, text: str = "hi", *, stream: bool = False) -> bytes:
        return wire.request(self.headers, text, stream=stream)

    def wait(self, seconds: float = READY_SECONDS) -> None:
        """Until it answers. Raises BenchError."""
        until = time.monotonic() + seconds
        while not answers(self.port, self.request()):
            if time.monotonic() > until:
                raise BenchError(f"{self.name} does not answer on port {self.port}")
            time.sleep(0.05)


@contextlib.contextmanager
def on_core(number: int) -> Iterator[None]:
    """What is started meanwhile runs there, and what that starts."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {number})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def answers(port: int, request: bytes) -> bool:
    """Whether it is answered with 200."""
    try:
        [answer] = load.run(load.saturate(port, request, 1, 0)).all
    except OSError:
        return False
    return answer.ok


def bearer(key: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {key}"),)


def straight(upstream: int) -> Contender:
    """No gateway at all."""
    return Contender("straight to the provider", upstream, (), tuple)


def check_lane(contender: Contender, lane: str) -> None:
    """Raises BenchError when its answers go by another one."""
    with socket.create_connection(("127.0.0.1", contender.port), 10) as client:
        client.sendall(contender.request())
        head = client.recv(65536).lower()
    if f"\r\nx-aiops-lane: {lane}\r\n".encode() not in head:
        raise BenchError(f"{contender.name}: its answers do not go by the lane `{lane}`")


def upstream(stack: contextlib.ExitStack) -> int:
    """Its port."""
    return started(stack, [sys.executable, "-m", "tests.bench.lanes.upstream"])[1]


def passing(stack: contextlib.ExitStack, port: int) -> Contender:
    """What none of them can beat that is written in the same language: it looks at nothing."""
    process, listens = started(stack, [sys.executable, "-m", "tests.bench.lanes.passing", str(port)])
    return Contender(PASSING, listens, (), lambda: [process.pid])


def stock(session: Session, stack: contextlib.ExitStack, port: int) -> Contender:
    """With a master key, and without a database: it counts nothing, and holds nobody to anything."""
    found = session.stock(stack, f"http://127.0.0.1:{port}")
    found.change([wire.MODEL])
    pid = found.process.pid if found.process else 0
    return Contender(STOCK, found.port, bearer(found.key), lambda: [pid], is_peer=True)


def aiops(session: Session, stack: contextlib.ExitStack, port: int, lane: str) -> tuple[Contender, Instance]:
    """Asked with a key that has limits of every kind and a budget, of a model that has a price. ``lane``: direct or
    litellm."""
    instance = Instance(session.directory / f"home-{session.number()}")
    stack.callback(instance.stop)
    instance.create()
    if lane == "litellm":
        choose_litellm(instance)
    instance.start()
    url = f"http://127.0.0.1:{port}/v1"
    instance.add("one", url, wire.MODEL)
    providers, line = instance.home / "config" / "providers.yaml", f"    base_url: {url}\n"
    assert line in providers.read_text()
    providers.write_text(providers.read_text().replace(line, line + PRICED))
    instance.run("apply")
    key = str(instance.run("keys", "create", "--alias", "bench", *LIMITS).result["key"])
    name = AIOPS if lane == "direct" else AIOPS_LITELLM
    return Contender(name, instance.port, bearer(key), instance.processes), instance


def choose_litellm(instance: Instance) -> None:
    settings = instance.home / "config" / "aiops.yaml"
    text, count = re.subn(r"(?m)^gateway:\n", "gateway:\n  lanes: litellm\n", settings.read_text())
    if not count:
        raise BenchError("aiops.yaml has no section `gateway`")
    settings.write_text(text)


def started(
    stack: contextlib.ExitStack, words: Sequence[str], directory: Path | None = None
) -> tuple[subprocess.Popen[str], int]:
    """A program that says ``ready PORT``, and its port. Raises BenchError."""
    process = subprocess.Popen(
        words, cwd=directory, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    stack.callback(end, process)
    line = process.stdout.readline() if process.stdout else ""
    if not line.startswith("ready "):
        raise BenchError(f"{' '.join(words)} did not start")
    return process, int(line.split()[1])


def end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
