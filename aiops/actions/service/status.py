"""What serves now, and whether it is what the files say: one read-only look, for ``status`` and ``doctor``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import aiops
from aiops.actions.instance.drift import drift
from aiops.actions.instance.snapshot import Snapshot
from aiops.actions.instance.supervisor import choose
from aiops.apply import lock, recovery, switching
from aiops.apply.store import Manifest
from aiops.errors import AiopsError
from aiops.host.engines import is_image
from aiops.host.instance import Instance
from aiops.supervise.detached import ProcessSupervisor
from aiops.supervise.runtimes import Runtimes
from aiops.supervise.systemd_unit import SystemdSupervisor
from aiops.supervise.unit_state import Units, look_at

PATIENCE_SECONDS = 0.5  # for the master's answer: a person looks, and a busy one is worth saying


@dataclass(frozen=True)
class Situation:
    """``generation`` is what serves, ``desired_generation`` what was committed last; None when there is none.

    ``gateway_state``: running, starting, degraded, stopping, stopped, failed. ``notes`` are sentences for people.
    ``units`` is None unless systemd is the supervisor.
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
    master: dict[str, Any] = field(default_factory=dict)
    units: Units | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "generation": self.generation,
            "desired_generation": self.desired_generation,
            "supervisor": self.supervisor,
            **({"systemd": self.units.to_json()} if self.units else {}),
            "gateway": {
                "state": self.gateway_state,
                "url": self.url,
                "pid": self.master.get("pid"),
                "litellm": self.master.get("litellm"),
                "runtime": self.master.get("runtime"),
                "container": self.master.get("container"),
                "uptime": self.master.get("uptime"),
                "groups": self.master.get("groups", []),
            },
            "models": self.models,
            "drift": self.drift,
            "notes": self.notes,
        }


def look(instance: Instance) -> Situation:
    """Raises Precondition when there is no instance. Contacts nobody but the gateway's own master."""
    instance.require()
    now = Snapshot(instance, patience=PATIENCE_SECONDS)
    desired, committed, master = now.current, now.committed, now.master
    notes: list[str] = []
    state, serving = _gateway(master, ProcessSupervisor(instance), desired, notes, instance)
    table, summary = now.routes or (None, None)
    supervisor = choose(instance, str(summary.settings["supervisor"]) if summary else _wanted(now))
    units = look_at(supervisor.systemd) if isinstance(supervisor, SystemdSupervisor) else None
    if units is not None:
        notes += units.notes(state)
        state = units.gateway_state(state)
    url = ""
    if summary is not None:
        url = f"http://{summary.settings['gateway.host']}:{summary.settings['gateway.port']}/v1"
    holder = lock.holder(instance.state)
    pending = recovery.pending(instance.state)
    if holder is not None:
        notes.append(f"a change is going on: {holder}")
    elif pending is not None:
        notes.append(f"{pending}; the next verb tidies it up")
    if holder is None and committed is not None and master is not None and "runtime" in master:
        notes += _runtime_notes(committed.manifest, master, instance)
    switch = switching.read(instance.state) if holder is None else None
    if switch is not None:
        record, _ = switch
        again = f"`{instance.command} switch {record.old} {record.new}` goes on with it"
        notes.append(f"{record}; {again}, `{instance.command} switch {record.new} {record.old}` takes it back")
    return Situation(
        generation=serving,
        desired_generation=desired,
        supervisor=supervisor.name,
        gateway_state=state,
        url=url,
        models=list(table.models) if table and state not in ("stopped", "starting") else [],
        drift=drift(now) if holder is None else [],
        notes=notes,
        manifest=committed.manifest if committed else None,
        master=master or {},
        units=units,
    )


def _runtime_notes(made: Manifest, master: dict[str, Any], instance: Instance) -> list[str]:
    """Whether the gateway runs in what its generation was proved in, and with this aiops."""
    notes = []
    if master["on_approval"]:
        notes.append("the gateway tries another runtime, and goes back by itself unless a change is confirmed in it")
    elif master["runtime"] != made.runtime:
        ours = made.runtime is not None and not is_image(made.runtime)
        gone = ours and Runtimes(instance.state).get(str(made.runtime)) is None
        mend = f"{instance.command} upgrade {made.litellm}" if gone else f"{instance.command} restart"
        notes.append(
            f"the gateway runs in {master['runtime'] or 'the installation'}, but generation {made.generation} was "
            f"proved in {made.runtime or 'the installation'}{', which is gone' if gone else ''}; `{mend}` mends it"
        )
    if master["version"] != aiops.__version__:
        notes.append(
            f"the gateway runs aiops {master['version']}, this is {aiops.__version__}; `{instance.command} upgrade`"
        )
    return notes


def _wanted(now: Snapshot) -> str:
    """The supervisor the files ask for, as long as nothing was committed; `auto` when they cannot be read."""
    try:
        return now.load(now.sources).settings.supervisor
    except AiopsError:
        return "auto"


def _gateway(
    master: dict[str, Any] | None,
    supervisor: ProcessSupervisor,
    desired: int | None,
    notes: list[str],
    instance: Instance,
) -> tuple[str, int | None]:
    if master is None:
        orphans = supervisor.orphans()
        if not orphans:
            return "stopped", None
        notes.append(
            f"the master is gone; {len(orphans)} worker(s) serve on; `{instance.command} up` starts a new master"
        )
        return "degraded", desired
    if master["state"] == "busy":
        return "starting", None
    serving: int | None = master.get("generation")
    state = {"serving": "running", "stopping": "stopping"}.get(str(master["state"]), "starting")
    revert = master.get("last_revert")
    if revert:
        notes.append(
            str(revert["reason"])
            if revert.get("boot")
            else f"generation {revert['generation']} was taken back: {revert['reason']}"
        )
        state = "degraded" if revert.get("boot") else state
    for group in master.get("groups", []):
        if group["crash_loop"] and group["role"] != "draining":
            state = "degraded"
            notes.append(f"workers of generation {group['generation']} keep dying: {group['last_failure']}")
        elif group["role"] == "draining":
            notes.append(
                f"generation {group['generation']} is finishing {len(group['workers'])} worker(s)' last requests"
            )
    return state, serving
