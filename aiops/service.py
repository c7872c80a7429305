"""The use-cases around the process itself: start, stop, restart."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiops.apply import audit, lock
from aiops.apply.store import GenerationStore
from aiops.change import LOCK_PATIENCE_SECONDS, make, settled
from aiops.errors import Precondition
from aiops.host import control, credentials
from aiops.host.instance import Instance, read_sources
from aiops.host.supervisor import Supervisor
from aiops.output import Output
from aiops.preparation import Intent
from aiops.prover import url_of
from aiops.spec.load import load
from aiops.spec.model import DesiredState
from aiops.supervision import choose

# The master gives a generation that loads slowly as long as it needs; this is for one that never will.
SERVE_SECONDS = 600.0


@dataclass(frozen=True)
class Service:
    """How it ended, as one sentence and as data. ``seconds`` is wall time."""

    outcome: str
    sentence: str
    generation: int | None
    url: str
    seconds: float

    def to_json(self) -> dict[str, Any]:
        return {
            "outcome": self.outcome,
            "generation": self.generation,
            "url": self.url,
            "seconds": round(self.seconds, 3),
        }


def desired(instance: Instance) -> DesiredState:
    """Raises Precondition when there is no instance, InvalidState with every problem."""
    instance.require()
    state = load(read_sources(instance), credentials.environment(instance))
    credentials.require_mounted(instance, state)
    return state


@dataclass(frozen=True)
class Place:
    """Where the gateway is: enough to stop, restart and ask it, also while the files are invalid."""

    supervisor: Supervisor
    host: str
    port: int
    master_key: Path

    @property
    def url(self) -> str:
        return f"{url_of(self.host, self.port)}/v1"


def place(instance: Instance) -> Place:
    """From what was committed last; from the files only before the first generation.

    Raises Precondition when there is no instance, InvalidState with every problem.
    """
    instance.require()
    generations = GenerationStore(instance.state)
    current = generations.current()
    if current is None:
        state = desired(instance)
        key = instance.key_file(state.settings.master_key_file)
        return Place(choose(instance, state.settings.supervisor), state.gateway.host, state.gateway.port, key)
    _, summary = generations.get(current).routes()
    settings = summary.settings
    return Place(
        choose(instance, str(settings["supervisor"])),
        str(settings["gateway.host"]),
        int(settings["gateway.port"]),
        instance.key_file(settings["master_key_file"]),
    )


def start(instance: Instance, out: Output) -> Service:
    """Start the master and wait until a generation serves; without one, make the first from the files."""
    started = time.monotonic()
    where = place(instance)
    instance.make_directories()
    current = GenerationStore(instance.state).current()
    if control.status(instance.run) is None:
        credentials.read_master_key(where.master_key)
    with lock.held(instance.state, "up", LOCK_PATIENCE_SECONDS, out.say):
        with out.progress("starting the gateway") as bar:
            fresh = where.supervisor.start(where.host, where.port, bar.update)
        for line in where.supervisor.story():
            out.say(line)
        settled(instance, out)
        current = GenerationStore(instance.state).current()
        if current is not None:
            _wait_until_serving(instance, out, 0 if fresh else _try_now(instance))
    if current is None:
        current = make(instance, Intent("up", "the first generation", assume_yes=True), out).generation
    verb = "serves" if fresh else "serves already"
    url = place(instance).url
    sentence = f"generation {current} {verb} at {url}"
    return Service("applied" if fresh else "unchanged", sentence, current, url, time.monotonic() - started)


def stop(instance: Instance, out: Output, limit: float) -> Service:
    """Drain for at most ``limit`` seconds and stop. Nothing running is not an error."""
    started = time.monotonic()
    where = place(instance)
    with lock.held(instance.state, "down", LOCK_PATIENCE_SECONDS, out.say):
        with out.progress("finishing requests") as bar:
            stopped = where.supervisor.stop(limit, bar.update)
        settled(instance, out)
    sentence = "the gateway is stopped" if stopped else "the gateway was not running"
    seconds = time.monotonic() - started
    if stopped:
        audit.record(instance.audit_log, verb="down", outcome="applied", seconds=round(seconds, 3))
    return Service("applied" if stopped else "unchanged", sentence, None, where.url, seconds)


def restart(instance: Instance, out: Output) -> Service:
    """A new master that takes over the workers' listening socket, so that nobody is refused meanwhile."""
    started = time.monotonic()
    where = place(instance)
    with lock.held(instance.state, "restart", LOCK_PATIENCE_SECONDS, out.say):
        settled(instance, out)
        current = GenerationStore(instance.state).current()
        if current is None:
            raise Precondition("there is no generation to serve", f"`{instance.command} up` makes the first")
        with out.progress("starting a new gateway process") as bar:
            where.supervisor.restart(where.host, where.port, bar.update)
        _wait_until_serving(instance, out)
    audit.record(instance.audit_log, verb="restart", outcome="applied", generation=current)
    sentence = f"generation {current} serves at {where.url}"
    return Service("applied", sentence, current, where.url, time.monotonic() - started)


def _try_now(instance: Instance) -> int:
    """A master that could not start the generation tries again at once. How often it has failed so far."""
    with control.Session(instance.run) as session:
        return int(session.call("retry")["failures"])


def _wait_until_serving(instance: Instance, out: Output, failures: int = 0) -> None:
    """Raises Precondition with the reason once the master has failed more than ``failures`` times."""
    started = time.monotonic()
    with out.progress("loading the generation") as bar:
        while (elapsed := time.monotonic() - started) < SERVE_SECONDS:
            status = control.status(instance.run) or {}
            if status.get("state") == "serving" and not status.get("change"):
                return
            failed = status.get("last_revert")
            if failed and failed.get("boot") and failed["failures"] > failures:
                raise Precondition(
                    f"the gateway runs, but {failed['reason']}",
                    f"it tries again by itself; `{instance.command} rollback --reason …` goes back to an older one",
                )
            bar.update(elapsed, max(5.0, elapsed * 1.2), "")
            time.sleep(0.03)
    raise Precondition(f"no generation serves after {SERVE_SECONDS:g} s", f"`{instance.command} logs` shows why")
