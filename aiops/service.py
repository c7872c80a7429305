"""The use-cases around the process itself: start, stop, restart."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from aiops.apply import audit, lock
from aiops.apply.store import GenerationStore
from aiops.change import LOCK_PATIENCE_SECONDS, Intent, make, settled, url_of
from aiops.errors import Precondition
from aiops.host import control, credentials
from aiops.host.instance import Instance, read_sources
from aiops.host.supervisor import Supervisor, choose
from aiops.output import Output
from aiops.spec.load import load
from aiops.spec.model import DesiredState

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
    return load(read_sources(instance), credentials.environment(instance))


def supervisor_of(instance: Instance, state: DesiredState) -> Supervisor:
    return choose(instance, state.settings.supervisor)


def start(instance: Instance, out: Output, assume_yes: bool) -> Service:
    """Start the master and wait until a generation serves; without one, make the first from the files."""
    started = time.monotonic()
    state = desired(instance)
    credentials.read_master_key(instance.secrets / (state.settings.master_key_file or "master_key"))
    instance.make_directories()
    with lock.held(instance.state, "up", LOCK_PATIENCE_SECONDS, out.say):
        with out.progress("starting the gateway") as bar:
            fresh = supervisor_of(instance, state).start(*_address(instance, state), bar.update)
        settled(instance, out)
        current = GenerationStore(instance.state).current()
        if current is not None:
            _wait_until_serving(instance, out)
    if current is None:
        result = make(instance, Intent("up", "the first generation", assume_yes=True), out)
        current = result.generation
    return _report(instance, state, "applied" if fresh else "unchanged", current, started, fresh)


def stop(instance: Instance, out: Output, limit: float) -> Service:
    """Drain for at most ``limit`` seconds and stop. Nothing running is not an error."""
    started = time.monotonic()
    state = desired(instance)
    with lock.held(instance.state, "down", LOCK_PATIENCE_SECONDS, out.say):
        with out.progress("finishing requests") as bar:
            stopped = supervisor_of(instance, state).stop(limit, bar.update)
        settled(instance, out)
    sentence = "the gateway is stopped" if stopped else "the gateway was not running"
    seconds = time.monotonic() - started
    if stopped:
        audit.record(instance.audit_log, verb="down", outcome="applied", seconds=round(seconds, 3))
    url = url_of(state.gateway.host, state.gateway.port)
    return Service("applied" if stopped else "unchanged", sentence, None, url, seconds)


def restart(instance: Instance, out: Output) -> Service:
    """A new master that takes over the workers' listening socket, so that nobody is refused meanwhile."""
    started = time.monotonic()
    state = desired(instance)
    with lock.held(instance.state, "restart", LOCK_PATIENCE_SECONDS, out.say):
        settled(instance, out)
        with out.progress("starting a new gateway process") as bar:
            supervisor_of(instance, state).restart(*_address(instance, state), bar.update)
        current = GenerationStore(instance.state).current()
        if current is None:
            raise Precondition("there is no generation to serve", f"`{instance.command} up` makes the first")
        _wait_until_serving(instance, out)
    audit.record(instance.audit_log, verb="restart", outcome="applied", generation=current)
    return _report(instance, state, "applied", current, started, True)


def _address(instance: Instance, state: DesiredState) -> tuple[str, int]:
    """Where the committed generation listens; the files may say something else that is not applied yet."""
    generations = GenerationStore(instance.state)
    current = generations.current()
    if current is None:
        return state.gateway.host, state.gateway.port
    _, summary = generations.get(current).routes()
    return str(summary.settings["gateway.host"]), int(summary.settings["gateway.port"])


def _wait_until_serving(instance: Instance, out: Output) -> None:
    started = time.monotonic()
    with out.progress("loading the generation") as bar:
        while (elapsed := time.monotonic() - started) < SERVE_SECONDS:
            status = control.status(instance.run) or {}
            if status.get("state") == "serving" and not status.get("change"):
                return
            failed = status.get("last_revert")
            if failed and failed.get("boot"):
                raise Precondition(
                    f"the gateway runs, but {failed['reason']}",
                    f"it tries again by itself; `{instance.command} rollback --reason …` goes back to an older one",
                )
            bar.update(elapsed, max(5.0, elapsed * 1.2), "")
            time.sleep(0.03)
    raise Precondition(f"no generation serves after {SERVE_SECONDS:g} s", f"`{instance.command} logs` shows why")


def _report(
    instance: Instance, state: DesiredState, outcome: str, generation: int | None, started: float, fresh: bool
) -> Service:
    host, port = _address(instance, state)
    url = f"{url_of(host, port)}/v1"
    verb = "serves" if fresh else "serves already"
    sentence = f"generation {generation} {verb} at {url}"
    return Service(outcome, sentence, generation, url, time.monotonic() - started)
