"""What serves now, and whether it is what the files say: one read-only look, for ``status`` and ``doctor``."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import aiops
from aiops.actions.instance.drift import drift
from aiops.actions.instance.snapshot import Snapshot
from aiops.actions.instance.supervisor import choose
from aiops.actions.route import live
from aiops.actions.service.health import ANSWERS, Health, dead_providers, judge
from aiops.apply import lock, recovery, switching
from aiops.apply.store import Generation, Manifest
from aiops.errors import AiopsError
from aiops.gateway.shared import deployment
from aiops.gateway.shared.deployment import Deployment
from aiops.gateway.shared.messages import BUSY, Group, Status
from aiops.gateway.shared.protocol import DRAINING, SERVING
from aiops.host import clock, reach
from aiops.host.instance import Instance
from aiops.host.ports import url_of
from aiops.host.systemd import Systemd, scope
from aiops.spec.routes.routes import RouteTable
from aiops.spec.sources import SETTINGS
from aiops.state.usage import aside
from aiops.supervise.detached import ProcessSupervisor
from aiops.supervise.unit_state import Units, look_at

PATIENCE_SECONDS = 0.5  # for the master's answer: a person looks, and a busy one is worth saying
REACH_SECONDS = 0.5  # for a provider near by to accept a connection


def without(shared: Deployment | None) -> dict[str, str]:
    """What happens while the one or the other is away."""
    if shared is None:
        return {}
    keys = "every key but the master key is refused (503)" if shared.closed else "known keys go on working"
    return {
        "redis": "each gateway counts limits and budgets by itself, from what the ledger says",
        "postgres": f"{keys}; usage is kept on disk",
    }


@dataclass(frozen=True)
class Situation:
    """``generation`` is what serves, ``desired_generation`` what was committed last; None when there is none.

    ``gateway_state``: running, starting, degraded, stopping, stopped, failed. ``notes`` are sentences for people;
    ``passing``: those of them that need nobody, because what they tell of ends by itself.
    ``admin_url``: where the management API is, when it has a port of its own.
    ``units`` is None unless systemd is the supervisor. ``unproved``: the providers that serve without a proof.
    """

    generation: int | None
    desired_generation: int | None
    supervisor: str
    gateway_state: str
    url: str
    models: list[str]
    drift: list[str]
    notes: list[str]
    manifest: Manifest | None
    master: Status = field(default_factory=Status)
    units: Units | None = None
    health: Health = field(default_factory=lambda: Health("down"))
    unproved: tuple[str, ...] = ()
    routes: live.LiveRoutes = field(default_factory=live.LiveRoutes)
    passing: tuple[str, ...] = ()
    deployment: Deployment | None = None
    admin_url: str | None = None
    at: str = field(default_factory=clock.now)

    @property
    def mode(self) -> str:
        """For people; empty for standalone."""
        if self.deployment is None:
            return ""
        said = "".join(f"; without {name.capitalize()} {what}" for name, what in without(self.deployment).items())
        return f"distributed, profile {self.deployment.profile}{said}"

    @property
    def litellm(self) -> str:
        """Its version for people, and whether it is loaded: light workers do without."""
        light = any(group.light for group in self.master.groups if group.role == SERVING)
        how = " is being loaded" if self.master.loads else " is not loaded" if light else ""
        return f"LiteLLM {self.master.litellm}{how}"

    @property
    def line(self) -> str:
        """All of it that can change, on one line; the same as long as nothing did."""
        serves = f"generation {self.generation}, " if self.generation is not None else ""
        said = f"{self.health.word}: gateway {self.gateway_state}, {serves}{len(self.models)} models"
        return "; ".join((said, *self.health.why, *self.drift))

    def to_json(self) -> dict[str, Any]:
        return {
            "health": self.health.word,
            "why": list(self.health.why),
            "readiness": self.routes.readiness.to_json(),
            "generation": self.generation,
            "desired_generation": self.desired_generation,
            "supervisor": self.supervisor,
            **({"systemd": self.units.to_json()} if self.units else {}),
            "gateway": {
                "state": self.gateway_state,
                "url": self.url,
                "admin_url": self.admin_url,
                "pid": self.master.pid,
                "litellm": self.master.litellm,
                "runtime": self.master.runtime,
                "container": self.master.container,
                "uptime": self.master.uptime if self.master.pid is not None else None,
                "groups": [group.plain() for group in self.master.groups],
            },
            "mode": "distributed" if self.deployment is not None else "standalone",
            "profile": self.deployment.profile if self.deployment is not None else None,
            "without": without(self.deployment),
            "models": self.models,
            "unproved": list(self.unproved),
            "drift": self.drift,
            "notes": self.notes,
        }


def look(instance: Instance, *, routes: bool = False) -> Situation:
    """Asks the gateway's own processes, and knocks at providers near by. ``routes``: workers get more time to tell.

    Raises Precondition when there is no instance.
    """
    instance.require()
    now = Snapshot(instance, patience=PATIENCE_SECONDS)
    desired, committed, master = now.current, now.committed, now.master
    notes: list[str] = []
    passing: list[str] = []
    state, serving, reasons = _gateway(master, ProcessSupervisor(instance), desired, notes, instance)
    table, summary = now.routes or (None, None)
    supervisor = choose(instance, summary.settings.supervisor if summary else _wanted(now))
    units = look_at(Systemd(scope())) if supervisor.name == "systemd" else None
    if units is not None:
        notes += units.notes(state)
        state = units.gateway_state(state)
    url, admin_url = "", None
    if summary is not None:
        gateway = summary.settings.gateway
        url = f"{url_of(gateway.host, gateway.port)}/v1"
        admin_url = url_of(*gateway.admin) if gateway.admin is not None else None
    holder = lock.holder(instance.state)
    pending = recovery.pending(instance.state)
    if holder is not None:
        passing.append(f"a change is going on: {holder}")
    elif pending is not None:
        notes.append(f"{pending}; the next verb tidies it up")
    if holder is None and committed is not None and master is not None and master.tells_runtime:
        notes += _runtime_notes(committed.manifest, master, instance)
    notes += _set_aside(instance)
    notes += _late(master)
    passing += _leaving(master)
    switch = switching.read(instance.state) if holder is None else None
    if switch is not None:
        record, _ = switch
        again = f"`{instance.command} switch {record.old} {record.new}` goes on with it"
        notes.append(f"{record}; {again}, `{instance.command} switch {record.new} {record.old}` takes it back")
    unproved = _unproved(committed)
    seen = live.look(now.master or Status(), instance.run, live.SECONDS if routes else PATIENCE_SECONDS)
    return Situation(
        generation=serving,
        desired_generation=desired,
        supervisor=supervisor.name,
        gateway_state=state,
        url=url,
        models=list(table.models) if table and state not in ("stopped", "starting") else [],
        drift=drift(now) if holder is None else [],
        notes=[*notes, *passing],
        manifest=committed.manifest if committed else None,
        master=master or Status(),
        units=units,
        deployment=_deployment(committed),
        admin_url=admin_url,
        health=_health(state, serving, reasons, now, seen, unproved),
        unproved=unproved,
        routes=seen,
        passing=tuple(passing),
    )


def follow(instance: Instance, every: float, *, routes: bool = False) -> Iterator[Situation]:
    """Look again and again, with ``every`` seconds between; what ``look`` raises goes through."""
    while True:
        yield look(instance, routes=routes)
        time.sleep(every)


def _set_aside(instance: Instance) -> Iterator[str]:
    many = aside.count(instance.state)
    if many:
        yield (
            f"{many} record{'s' * (many != 1)} of usage that the ledger could not take: {aside.path(instance.state)}; "
            f"`{instance.command} usage prove` has {'them' if many != 1 else 'it'} tried again, `logs` says why"
        )


def _unproved(committed: Generation | None) -> tuple[str, ...]:
    """The providers that the committed generation put into service without a proof; not those that were spared one."""
    found = committed.unproved if committed is not None else ()
    return tuple(sorted({each.provider for each in found if each.reason != "not asked"}))


def _health(
    state: str, serving: int | None, reasons: list[str], now: Snapshot, seen: live.LiveRoutes, unproved: tuple[str, ...]
) -> Health:
    table = now.routes[0] if now.routes else RouteTable()
    providers = now.routes[1].providers if now.routes else {}
    answers = state in ANSWERS
    dead = dead_providers(table, providers, seen.providers, _reach) if answers else {}
    ready = seen.readiness if answers else live.Readiness()
    why = [*reasons, *map(str, ready.lacks)]
    refuses = ready.status == "not_ready"
    return judge(state, serving is not None, why, table, providers, dead, unproved, refuses=refuses)


def _reach(addresses: Collection[reach.Address]) -> dict[reach.Address, str]:
    """Nothing is known of addresses that a proxy reaches for the gateway."""
    from aiops.host.http import proxied  # whoever is asked over HTTP has loaded it

    return {} if proxied() else reach.unreachable(addresses, REACH_SECONDS)


def _runtime_notes(made: Manifest, master: Status, instance: Instance) -> list[str]:
    """Whether the gateway runs in what its generation was proved in, and with this aiops."""
    notes = []
    if master.on_approval:
        notes.append("the gateway tries another runtime, and goes back by itself unless a change is confirmed in it")
    elif master.runtime != made.runtime:
        from aiops.host.engines import is_image
        from aiops.supervise.runtimes import Runtimes

        ours = made.runtime is not None and not is_image(made.runtime)
        gone = ours and Runtimes(instance.state).get(str(made.runtime)) is None
        mend = f"{instance.command} upgrade {made.litellm}" if gone else f"{instance.command} restart"
        notes.append(
            f"the gateway runs in {master.runtime or 'the installation'}, but generation {made.generation} was "
            f"proved in {made.runtime or 'the installation'}{', which is gone' if gone else ''}; `{mend}` mends it"
        )
    if master.version != aiops.__version__:
        notes.append(
            f"the gateway runs aiops {master.version}, this is {aiops.__version__}; `{instance.command} upgrade`"
        )
    return notes


def _wanted(now: Snapshot) -> str:
    """The supervisor that is written down, as long as nothing was committed; `auto` when it cannot be read.

    It is one word: all that the files say is twice the time of the whole look.
    """
    from aiops.spec.shapes.supervisors import SUPERVISORS
    from aiops.spec.yaml import yaml12

    try:
        settings = yaml12.parse(SETTINGS, now.sources[SETTINGS]).data
    except AiopsError:
        return "auto"
    written = settings.get("supervisor") if isinstance(settings, dict) else None
    return written if written in SUPERVISORS else "auto"


def _gateway(
    master: Status | None,
    supervisor: ProcessSupervisor,
    desired: int | None,
    notes: list[str],
    instance: Instance,
) -> tuple[str, int | None, list[str]]:
    """Its state, the generation that serves, and why it is not simply running. What else is to be said goes into
    ``notes``, with all of that."""
    if master is None:
        orphans = supervisor.orphans()
        if not orphans:
            return "stopped", None, []
        notes.append(
            f"the master is gone; {len(orphans)} worker(s) serve on; `{instance.command} up` starts a new master"
        )
        return "degraded", desired, notes[-1:]
    if master.state == BUSY:
        return "starting", None, []
    serving = master.generation
    state = {"serving": "running", "stopping": "stopping"}.get(master.state, "starting")
    reasons: list[str] = []
    revert = master.last_revert
    if revert is not None:
        notes.append(
            revert.reason if revert.boot else f"generation {revert.generation} was taken back: {revert.reason}"
        )
        if revert.boot:
            state = "degraded"
            reasons.append(revert.reason)
            if serving is None and master.orphans:
                serving = desired
                notes.append(f"{len(master.orphans)} worker(s) of the master before serve on meanwhile")
    if master.without and master.generation is not None:
        state = "degraded"
        reasons.append(
            f"LiteLLM cannot be imported: {master.without}; models that are asked directly answer, requests that need"
            " LiteLLM are refused (503)"
        )
        notes.append(reasons[-1])
    if master.accountant is not None and master.accountant.pid is None:
        notes.append(
            f"the accountant does not run ({master.accountant.failure}), and is started again: meanwhile usage is kept"
            " on disk, and keys that were not used lately are refused"
        )
    for group in master.groups:
        if group.crash_loop and group.role != DRAINING:
            state = "degraded"
            reasons.append(f"workers of generation {group.generation} keep dying: {group.last_failure}")
            notes.append(reasons[-1])
    return state, serving, reasons


def _draining(master: Status | None) -> list[Group]:
    return [group for group in master.groups if group.role == DRAINING] if master is not None else []


def _leaving(master: Status | None) -> Iterator[str]:
    for group in _draining(master):
        if not group.overdue:
            yield f"generation {group.generation} is finishing {len(group.workers)} worker(s)' last requests"


def _late(master: Status | None) -> Iterator[str]:
    for group in _draining(master):
        if group.overdue:
            pids = " ".join(str(worker.pid) for worker in group.workers)
            yield (
                f"generation {group.generation} should have finished {group.overdue:.0f} s ago "
                f"(gateway.drain_seconds), and its worker(s) do not leave; `kill -9 {pids}` ends them"
            )


def _deployment(committed: Generation | None) -> Deployment | None:
    """None: standalone."""
    try:
        return deployment.of(committed.directory) if committed is not None else None
    except (OSError, ValueError):  # a damaged generation is for others to say
        return None
