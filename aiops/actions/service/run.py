"""The use-cases around the process itself: start, stop, restart."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from aiops.actions.change.prepare import Lenient
from aiops.actions.instance.held import held, locked, settled
from aiops.actions.instance.place import place
from aiops.actions.instance.snapshot import Snapshot
from aiops.actions.service.first import make_first, require_secrets, undone_when_interrupted
from aiops.apply import audit
from aiops.errors import Precondition
from aiops.gateway.shared import deployment, tallies
from aiops.gateway.shared.messages import Retry, Status
from aiops.host import credentials, master, ports
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.supervise.detached import ProcessSupervisor
from aiops.verify.check import MORE_TIME
from aiops.verify.unproved import Unproved

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
    unproved: tuple[Unproved, ...] = ()

    def lines(self, command: str) -> list[str]:
        """The sentence, and what is served unproved; ``command``: how aiops is called."""
        if not self.unproved:
            return [self.sentence]
        names = sorted({each.provider for each in self.unproved})
        return [
            self.sentence,
            f"served, and not proved to answer ({len(names)} provider{'s' if len(names) != 1 else ''}):",
            *(f"  {each}" for each in self.unproved),
            *([MORE_TIME] if any(each.reason == "slow" for each in self.unproved) else ()),
            f"`{command} verify --all` asks again; `{command} disable NAME --force` takes one out",
        ]

    def to_json(self) -> dict[str, Any]:
        return {
            "outcome": self.outcome,
            "generation": self.generation,
            "url": self.url,
            "seconds": round(self.seconds, 3),
            "unproved": [each.to_json() for each in self.unproved],
        }


def start(instance: Instance, out: Output, lenient: Lenient = "absent") -> Service:
    """Start the master and wait until a generation serves; without one, make the first from the files.

    ``lenient``: what of the first may be served without being proved.
    """
    started = time.monotonic()
    where = place(instance)
    instance.make_directories()
    now = Snapshot(instance)
    if now.current is None:
        require_secrets(now)
    if now.master is None:
        credentials.read_master_key(where.master_key)
        _require_database(instance, now)
    with locked(instance, "up", out), undone_when_interrupted(now, where.supervisor, out):
        if now.master is None and where.admin is not None and not ProcessSupervisor(instance).pids():
            ports.require_free(*where.admin, prefix="admin_")
        with out.progress("starting the gateway") as bar:
            fresh = where.supervisor.start(where.host, where.port, bar.update)
        for line in where.supervisor.story():
            out.say(line)
        settled(instance, out)
        current = Snapshot(instance).current  # now that what was left is settled
        if current is not None:
            _wait_until_serving(instance, out, 0 if fresh else _try_now(instance))
    if current is None:
        current = make_first(instance, where.supervisor, lenient, out)
    verb = "serves" if fresh else "serves already"
    url = place(instance).url
    sentence = f"generation {current} {verb} at {url}"
    seconds = time.monotonic() - started
    committed = Snapshot(instance).committed  # by now
    left = committed.unproved if committed is not None else ()
    return Service("applied" if fresh else "unchanged", sentence, current, url, seconds, left)


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


def _require_database(instance: Instance, now: Snapshot) -> None:
    """Several gateways have one that has to be there. Raises Precondition."""
    if now.current is None:
        is_shared = now.desired.mode == "distributed"
    else:
        is_shared = deployment.of(now.generations.path(now.current)) is not None
    if not is_shared:
        return  # and the driver is not imported
    from aiops.actions.instance.database import require_shared

    require_shared(instance)


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
