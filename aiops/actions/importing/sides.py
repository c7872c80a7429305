"""The two gateways: LiteLLM as it is, and what the import makes of the same file. Both on loopback, both gone after."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

import httpx

from aiops.errors import Precondition
from aiops.host import process
from aiops.host.signals import undisturbed
from aiops.spec.edit.edit import set_value
from aiops.spec.sources import SETTINGS

_SECONDS = 90.0


def _stopped() -> Precondition:
    return Precondition("it was stopped", "")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def stock(config: Path, environment: Mapping[str, str], stop: Event) -> Iterator[str]:
    """LiteLLM's own command with that file; its URL. Raises Precondition when it does not come up, or ``stop`` comes
    first."""
    port, log = free_port(), config.with_suffix(".log")
    program = Path(sys.executable).with_name("litellm")
    if not program.exists():
        raise Precondition(f"LiteLLM's own command is not here: {program}", "without `--prove` it is imported as well")
    argv = [str(program), "--config", str(config), "--host", "127.0.0.1"]
    child = process.start_detached([*argv, "--port", str(port)], log, _environment(environment))
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + _SECONDS
    try:
        while not _answers(f"{url}/health/liveliness"):
            if child.poll() is not None or time.monotonic() > deadline:
                said = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
                raise Precondition(
                    f"LiteLLM does not start with this file: {said[-1][:200] if said else 'it says nothing'}",
                    "without `--prove` it is imported all the same",
                )
            if stop.wait(0.1):
                raise _stopped()
        yield url
    finally:
        with undisturbed():
            with suppress(ProcessLookupError):  # nobody waits for an answer of it
                os.killpg(child.pid, signal.SIGKILL)
            with suppress(Exception):
                child.wait(10)


@contextmanager
def candidate(config: Path, home: Path, environment: Mapping[str, str], stop: Event) -> Iterator[str]:
    """An instance of its own that was imported from that file; its URL. Raises Precondition, also when ``stop`` comes
    first."""
    port, env = free_port(), _environment(environment)
    aiops = [sys.executable, "-m", "aiops", "--home", str(home)]

    def do(*verb: str) -> None:
        done = process.run([*aiops, *verb], _SECONDS, env, unless=stop)
        if stop.is_set():
            raise _stopped()
        if not done.ok:
            raise Precondition(f"`aiops {verb[0]}` of the imported file fails: {done.reason}", done.err[-300:])

    try:
        do("import", str(config), "--supervisor", "process", "--port", str(port))
        _by_litellm(home / "config" / SETTINGS)
        do("up")
        yield f"http://127.0.0.1:{port}"
    finally:
        with undisturbed():
            process.run([*aiops, "down", "--drain", "0"], 30, env, unless=Event())


def _by_litellm(settings: Path) -> None:
    """What is proved is what the import made of the file. That the direct lane asks the same is shown elsewhere."""
    edit = set_value({SETTINGS: settings.read_bytes()}, SETTINGS, ("gateway", "lanes"), "litellm")
    settings.write_bytes(edit.sources[SETTINGS])


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    """Without keys of the person who asks: what a file does not name must not be sent by accident."""
    own = {name: value for name, value in os.environ.items() if not name.endswith(("_API_KEY", "_API_BASE"))}
    return {**own, **more, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": "*"}


def _answers(url: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(url, timeout=2, trust_env=False).status_code == 200
    return False
