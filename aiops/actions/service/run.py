"""The use-cases around the process itself: start, stop, restart."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from aiops.actions.change.make import make
from aiops.actions.change.prepare import Intent
from aiops.actions.instance.held import held, locked, settled
from aiops.actions.instance.place import place
from aiops.actions.instance.snapshot import Snapshot
from aiops.apply import audit
from aiops.errors import Precondition
from aiops.gateway.shared import tallies
from aiops.gateway.shared.messages import Retry, Status
from aiops.host import credentials, master
from aiops.host.instance import Instance
from aiops.output import Output

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


def start(instance: Instance, out: Output) -> Service:
    """Start the master and wait until a generation serves; without one, make the first from the files."""
    started = time.monotonic()
    where = place(instance)
    instance.make_directories()
    if Snapshot(instance).master is None:
        credentials.read_master_key(where.master_key)
    with locked(instance, "up", out):
        with out.progress("starting the gateway") as bar:
            fresh = where.supervisor.start(where.host, where.port, bar.update)
        for line in where.supervisor.story():
            out.say(line)
        settled(instance, out)
        current = Snapshot(instance).current  # now that what was left is settled
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
    with locked(instance, "down", out):
        with out.progress("finishing requests") as bar:
            stopped = where.supervisor.stop(limit, bar.update)
        tallies.forget(instance.run)
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
    with held(instance, "restart", out, dry_run=False):
        current = Snapshot(instance).current
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
    with master.Session(instance.run) as session:
        return session.call(Retry()).failures


def _wait_until_serving(instance: Instance, out: Output, failures: int = 0) -> None:
    """Raises Precondition with the reason once the master has failed more than ``failures`` times."""
    started = time.monotonic()
    with out.progress("loading the generation") as bar:
        while (elapsed := time.monotonic() - started) < SERVE_SECONDS:
            status = master.status(instance.run) or Status()
            if status.state == "serving" and status.change is None:
                return
            failed = status.last_revert
            if failed and failed.boot and failed.failures > failures:
                raise Precondition(
                    f"the gateway runs, but {failed.reason}",
                    f"it tries again by itself; `{instance.command} rollback --reason …` goes back to an older one",
                )
            bar.update(elapsed, max(5.0, elapsed * 1.2), "")
            time.sleep(0.03)
    raise Precondition(f"no generation serves after {SERVE_SECONDS:g} s", f"`{instance.command} logs` shows why")
