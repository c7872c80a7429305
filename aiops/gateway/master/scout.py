"""What a warmed worker has beyond the master, found out by a child that is thrown away.

LiteLLM imports about 150 modules when it loads a configuration and answers its first request, and pydantic builds
the validators of about 20 classes on their first use. Done by each worker that costs 40 MB and 0.4 s; done once by
the master it is shared.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pydantic import BaseModel

from aiops.gateway.worker import put_off, runtime
from aiops.gateway.worker.board import Board
from aiops.gateway.worker.readiness import Readiness
from aiops.gateway.worker.settings import CONFIG_FILE, MASTER_KEY_VARIABLE, Settings
from aiops.gateway.worker.slots import Slots
from aiops.spec.choosing.rules import RoutingTable

MODEL = "scout"
# Every request is mocked before the provider would be called; the address is never contacted.
CONFIG = f"""
model_list:
- model_name: {MODEL}
  litellm_params: {{model: openai/{MODEL}, api_base: "http://127.0.0.1:9/v1", api_key: none}}
  model_info: {{id: {MODEL}, provider: {MODEL}}}
litellm_settings: {{callbacks: [aiops.gateway.probe.instance, aiops.gateway.routing.instance]}}
general_settings:
  master_key: os.environ/{MASTER_KEY_VARIABLE}
  custom_auth: aiops.gateway.auth.authenticate
  disable_model_info_refresh: true
"""


@dataclass(frozen=True)
class Findings:
    """Modules to import and pydantic classes (``module:name``) to complete, sorted."""

    modules: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()


@functools.cache
def warm_up() -> float:
    """Import LiteLLM, and what a worker will need beyond it, once. The seconds the import took."""
    with runtime.without_collection():
        seconds = runtime.load()
        share(scout())
    return seconds


def scout() -> Findings:
    """Serve one mocked request in a child. Empty when it failed: workers are then merely larger and slower."""
    # No turn of the master in between: a worker that it forks would keep this end open, too.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    try:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid:
            os.close(writing)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if pid == 0:
        _explore(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(pid, 0)
    if not answer:
        return Findings()
    found = json.loads(answer)
    return Findings(tuple(found["modules"]), tuple(found["classes"]))


def rehearse() -> None:
    """Serve one mocked request in this very process. Raises whatever is wrong with this LiteLLM."""
    with tempfile.TemporaryDirectory(prefix="aiops-scout-") as directory:
        asyncio.run(_serve_once(Path(directory)))


def share(findings: Findings) -> None:
    """Do in this process what the child had to do."""
    runtime.adopt(findings.modules)
    waiting = {_name(each): each for each in _incomplete()}
    for name in findings.classes:
        if name in waiting:
            waiting[name].model_rebuild(raise_errors=False)
    runtime.freeze()


def _incomplete() -> list[type[BaseModel]]:
    """Pydantic classes whose validator is built on first use."""
    found, queue = [], list(BaseModel.__subclasses__())
    while queue:
        each = queue.pop()
        queue += each.__subclasses__()
        if not each.__pydantic_complete__:
            found.append(each)
    return found


def _name(each: type[BaseModel]) -> str:
    return f"{each.__module__}:{each.__qualname__}"


def _explore(writing: int) -> NoReturn:
    try:
        _let_go_of_the_master(writing)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        known, waiting, late = set(sys.modules), _incomplete(), set(put_off.waiting())
        with tempfile.TemporaryDirectory(prefix="aiops-scout-") as directory:
            asyncio.run(_serve_once(Path(directory)))
        findings = {
            "modules": sorted((set(sys.modules) - known) | (late - set(put_off.waiting()))),
            "classes": sorted(_name(each) for each in waiting if each.__pydantic_complete__),
        }
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(json.dumps(findings).encode())
    finally:
        os._exit(0)


def _let_go_of_the_master(kept: int) -> None:
    """Close all of its descriptors but ``kept`` and what is written to, and have its signals end this process: a master
    that is told to stop meanwhile ends at once, and whoever comes next must find its sockets free."""
    signal.set_wakeup_fd(-1)
    for caught in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGALRM):
        signal.signal(caught, signal.SIG_DFL)
    for number in [int(each.name) for each in Path("/proc/self/fd").iterdir()]:
        if number > 2 and number != kept:
            with contextlib.suppress(OSError):  # of this very listing
                os.close(number)


async def _serve_once(directory: Path) -> None:
    from aiops.gateway.worker import selfcheck
    from aiops.gateway.worker.extension import Extension

    config = directory / CONFIG_FILE
    config.write_text(CONFIG)
    environment = {MASTER_KEY_VARIABLE: "sk-scout-" + os.urandom(16).hex()}
    os.environ.update(environment, CONFIG_FILE_PATH=str(config))
    app = runtime.app()
    async with app.router.lifespan_context(app):
        settings = Settings(
            generation=0,
            directory=directory,
            host="",
            port=0,
            workers=1,
            drain_seconds=0.0,
            models=1,
            probe_model=MODEL,
        )
        await selfcheck.prove(Extension(app, _Nobody(), 0, Board(RoutingTable(), Slots(1, 0))), environment, settings)


class _Nobody:
    def readiness(self) -> Readiness:
        return Readiness("ready", {})
